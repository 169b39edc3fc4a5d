//! The machine's own limit: the same server library, answering two bytes.

use actix_web::{App, HttpServer, web};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let server = HttpServer::new(|| App::new().route("/", web::get().to(async || "ok")));
    server.workers(1).bind(("127.0.0.1", 18099))?.run().await
}
