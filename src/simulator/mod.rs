//! The other side of the wire: a stand-in Mailchimp and a stand-in Cloud Elements on one loopback port, for
//! the demo, for tests and for other programs. Written from the references and sharing nothing with the
//! app but the clock, so that it can contradict us.
//!
//! Deliberate deviations: one origin instead of three hosts, plain HTTP, no second factor, no CDN, and
//! retries that come seconds apart instead of minutes or hours.

#![expect(clippy::indexing_slicing, reason = "a JSON value answers null for what is not there")]
#![expect(clippy::result_large_err, reason = "a refusal here is the whole response")]

mod cloud_elements;
mod control;
mod faults;
mod mailchimp;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer};
use socket2::{Domain, Socket, Type};
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
pub use faults::Faults;
pub use world::RegisteredApp;
use world::Simulation;

/// Accepted as `User …`; any other is refused.
const USER_SECRET: &str = "c2ltdWxhdGVkLXVzZXItc2VjcmV0LW5vdC1yZWFs";
/// Accepted as `Organization …`; any other is refused.
const ORGANIZATION_SECRET: &str = "00000000000000000000000000511111";

/// How to start a simulator.
pub struct SimulatorOptions {
    /// On 127.0.0.1; 0 is any free one.
    pub port: u16,
    /// The time: codes die by it.
    pub clock: SharedClock,
}

/// A simulator that is bound and can be run.
pub struct Simulator {
    listener: TcpListener,
    simulation: Arc<Simulation>,
}

impl Simulator {
    /// Binds 127.0.0.1, and nothing else.
    pub fn bind(options: SimulatorOptions) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(8192)?;
        let listener = TcpListener::from(socket);
        let origin = format!("http://{}", listener.local_addr()?);
        let simulation = Simulation::new(origin, options.clock).map_err(io::Error::other)?;
        let simulator = Self { listener, simulation: Arc::new(simulation) };
        simulator.register(RegisteredApp {
            name: "Your app".to_owned(),
            client_id: "222222222222".to_owned(),
            client_secret: "simulated-client-secret".to_owned(),
            redirect_uris: vec!["http://127.0.0.1:8080/oauth/callback".to_owned()],
        });
        Ok(simulator)
    }

    /// `http://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        self.simulation.origin.clone()
    }

    /// The stand-in for `https://login.mailchimp.com/oauth2/authorize`.
    pub fn authorize_url(&self) -> String {
        format!("{}/oauth2/authorize", self.simulation.origin)
    }

    /// The stand-in for `https://api.cloud-elements.com/elements/api-v2`.
    pub fn cloud_elements_url(&self) -> String {
        format!("{}/elements/api-v2", self.simulation.origin)
    }

    /// Where a person works the simulation.
    pub fn control_url(&self) -> String {
        format!("{}/_sim/", self.simulation.origin)
    }

    /// Registers an app, as at Mailchimp's "Registered apps"; one with the same client id is replaced.
    pub fn register(&self, app: RegisteredApp) {
        self.simulation.with(|world| world.register(app));
    }

    /// The user secret that is accepted.
    pub fn user_secret(&self) -> &'static str {
        USER_SECRET
    }

    /// The organization secret that is accepted.
    pub fn organization_secret(&self) -> &'static str {
        ORGANIZATION_SECRET
    }

    /// Runs until `shutdown` is cancelled.
    pub async fn run(self, shutdown: CancellationToken) -> io::Result<()> {
        let simulation = web::Data::from(self.simulation);
        let server = HttpServer::new(move || App::new().app_data(simulation.clone()).configure(routes))
            .workers(1)
            .max_connections(30_000)
            .client_request_timeout(Duration::from_secs(30))
            .shutdown_timeout(1)
            .disable_signals()
            .listen(self.listener)?
            .run();
        let handle = server.handle();
        tokio::spawn(async move {
            shutdown.cancelled().await;
            handle.stop(false).await;
        });
        server.await
    }
}

fn routes(services: &mut ServiceConfig) {
    mailchimp::routes(services);
    cloud_elements::routes(services);
    control::routes(services);
}
