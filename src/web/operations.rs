//! For whoever keeps Gangway running: alive, ready, measured. No version, no secret, no customer.

use std::sync::OnceLock;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::Gangway;
use crate::doctor;

/// The process's counters. One recorder serves every Gangway of a process.
pub struct Metrics(PrometheusHandle);

const SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];
const GROUPS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

impl Default for Metrics {
    fn default() -> Self {
        static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
        let handle = HANDLE.get_or_init(|| {
            let builder = PrometheusBuilder::new();
            let buckets =
                [(Matcher::Suffix("_seconds".into()), SECONDS), (Matcher::Suffix("_size".into()), GROUPS)];
            let builder = buckets.into_iter().fold(builder, |builder, (which, edges)| {
                // It refuses empty buckets only.
                builder.set_buckets_for_metric(which, edges).unwrap_or_default()
            });
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            // Fails only where somebody else's recorder came first; then ours stays empty.
            let _ = metrics::set_global_recorder(recorder);
            handle
        });
        Self(handle.clone())
    }
}

impl Metrics {
    /// Folds what has been recorded, so that memory stays flat between two readings.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> HttpResponse {
    plain(StatusCode::OK, "ok\n")
}

/// `GET /readyz`: the database answers.
pub async fn readyz(app: web::Data<Gangway>) -> HttpResponse {
    match app.storage.ping().await {
        Ok(()) => plain(StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::error!(%error, "not ready");
            plain(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}

/// `GET /metrics`
pub async fn metrics(app: web::Data<Gangway>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(app.metrics.0.render())
}

/// `GET /doctor/{challenge}`: proves that the public URL leads to this process. Says nothing to anybody who
/// does not have the key.
pub async fn answer_challenge(challenge: web::Path<String>, app: web::Data<Gangway>) -> HttpResponse {
    if challenge.len() > 64 {
        return HttpResponse::NotFound().finish();
    }
    HttpResponse::Ok().json(doctor::challenge_answer(&app.config.secret_key, app.process, &challenge))
}

fn plain(status: StatusCode, text: &'static str) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(text)
}
