FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /data gangway && install -d -m 0700 -o gangway /data
COPY --from=build /src/target/release/gangway /usr/local/bin/gangway
USER gangway
VOLUME /data
ENV DATABASE_URL=sqlite:///data/gangway.db LISTEN_ADDR=0.0.0.0:8080
EXPOSE 8080
CMD ["gangway", "serve"]
