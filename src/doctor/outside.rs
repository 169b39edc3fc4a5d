//! The way in from outside, and the other side: whether the public URL leads here, whether a signed
//! notification gets through it unchanged, what Mailchimp and Cloud Elements say to our credentials.

use hmac::Mac;
use reqwest::Client;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Chain, Finding, Verdict, fail, pass, warn};
use crate::elements::{Access, CallError, Queued, SignatureKey};
use crate::seal::SecretKey;

/// Cloud Elements signs no times, but codes live thirty seconds.
const SKEW: time::Duration = time::Duration::seconds(10);

/// What `/doctor/{challenge}` answers: which process it is, and that it has the key.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChallengeAnswer {
    process: Uuid,
    proof: String,
}

/// The answer of `process` to `challenge`.
pub fn challenge_answer(key: &SecretKey, process: Uuid, challenge: &str) -> ChallengeAnswer {
    let mac = key.mac("gangway doctor v1");
    let digest =
        mac.chain_update(process.as_bytes()).chain_update(challenge.as_bytes()).finalize().into_bytes();
    ChallengeAnswer { process, proof: digest.iter().map(|byte| format!("{byte:02x}")).collect() }
}

/// The id under which `/events` takes notifications of the doctor's own and stores nothing.
pub fn instance_id(key: &SecretKey) -> Uuid {
    uuid::Builder::from_custom_bytes(key.derive::<16>("gangway doctor instance v1")).into_uuid()
}

/// What those are signed with.
pub fn signature_key(key: &SecretKey) -> SignatureKey {
    SignatureKey::from_bytes(&key.derive::<32>("gangway doctor signature v1"))
}

pub(super) async fn public_url(client: &Client, chain: &Chain) -> Finding {
    const NAME: &str = "public URL";
    let origin = chain.config.public_url.origin();
    let challenge = &chain.state.hash();
    let challenge: String = challenge.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let answer = match client.get(format!("{origin}/doctor/{challenge}")).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let cause = format!("{origin} does not answer: {}", innermost(&error.without_url()));
            return fail(
                NAME,
                &cause,
                "start `gangway serve`, and lead PUBLIC_URL there: name, certificate, proxy, firewall",
            );
        }
    };
    let status = answer.status();
    let Ok(said) = answer.json::<ChallengeAnswer>().await else {
        let cause = format!("something else answers at {origin} (status {})", status.as_u16());
        return fail(NAME, &cause, "let the proxy pass every path on to LISTEN_ADDR, or correct PUBLIC_URL");
    };
    let right = challenge_answer(&chain.config.secret_key, said.process, &challenge).proof == said.proof;
    match chain.process {
        _ if !right => fail(
            NAME,
            &format!("{origin} leads to a Gangway with another SECRET_KEY"),
            "lead PUBLIC_URL to this one, or give both the same SECRET_KEY and DATABASE_URL",
        ),
        Some(process) if process != said.process => warn(
            NAME,
            &format!("{origin} leads to another process with the same key"),
            "fine where several share one Postgres; otherwise stop the other one",
        ),
        _ => pass(NAME, &format!("{origin} leads here")),
    }
}

pub(super) async fn signature_round_trip(client: &Client, chain: &Chain) -> Finding {
    const NAME: &str = "events";
    let key = &chain.config.secret_key;
    let url = chain.config.public_url.events_url(instance_id(key));
    // Bytes that a proxy which rewrites JSON or charsets would not leave alone.
    let body = r#"{"id":"doctor",  "message":{"events":[]}, "text":"Zoë – ☕"}"#;
    let signature = signature_key(key).sign(body.as_bytes());
    let request = client.post(url).header("Elements-Webhook-Signature", signature).body(body);
    match request.send().await.map(|answer| answer.status().as_u16()) {
        Ok(200) => pass(NAME, "a signed notification came through /events as it was sent"),
        Ok(401) => fail(
            NAME,
            "a signed notification arrived changed or without its signature",
            "let the proxy pass bodies and the header Elements-Webhook-Signature on as they are",
        ),
        Ok(status) => fail(
            NAME,
            &format!("a signed notification was answered with {status}"),
            "let the proxy pass POST /events/* on to LISTEN_ADDR without asking for anything",
        ),
        Err(error) => fail(
            NAME,
            &innermost(&error.without_url()),
            "let the proxy pass POST /events/* on to LISTEN_ADDR",
        ),
    }
}

/// The redirect URI to register, and whether Mailchimp shows its page for it. Only a refusal without a
/// redirect says something: what the page looks like is Mailchimp's affair.
pub(super) async fn registration(client: &Client, chain: &Chain) -> Finding {
    const NAME: &str = "redirect URI";
    let redirect_uri = chain.config.public_url.redirect_uri();
    let fix = format!(
        "at MailChimp (Account, Extras, Registered apps) register exactly {redirect_uri} and compare MAILCHIMP_CLIENT_ID"
    );
    let url = chain.mailchimp.authorize_url(&chain.state);
    match client.get(url).send().await.map(|answer| answer.status().as_u16()) {
        Ok(400..=499) => {
            let cause = format!("MailChimp refuses the app with the redirect URI {redirect_uri}");
            fail(NAME, &cause, &fix)
        }
        Ok(500..) => {
            warn(NAME, &format!("MailChimp has trouble; register exactly {redirect_uri}"), "try again later")
        }
        Ok(_) => pass(NAME, &format!("{redirect_uri} (register exactly this at MailChimp)")),
        Err(error) => {
            let cause = format!(
                "MailChimp cannot be reached from here ({}); the redirect URI to register is {redirect_uri}",
                innermost(&error.without_url())
            );
            warn(NAME, &cause, "customers' browsers must reach it; check MAILCHIMP_AUTHORIZE_URL")
        }
    }
}

/// Clock, credentials, element and queue: all are asked of Cloud Elements.
pub(super) async fn cloud_elements(chain: &Chain) -> Vec<Finding> {
    const NAME: &str = "Cloud Elements";
    let granted = match chain.cloud_elements.access().await {
        Ok(Access::Granted(at)) => at,
        Ok(refused) => return vec![refused_access(refused)],
        Err(error) => {
            let cause = format!("it cannot be reached: {error}");
            return vec![fail(
                NAME,
                &cause,
                "check CLOUD_ELEMENTS_URL, with its /elements/api-v2, and the way out of this network",
            )];
        }
    };
    vec![
        pass(NAME, "both secrets are right"),
        clock(chain.clock.now(), granted),
        element(chain).await,
        queue(chain).await,
    ]
}

fn refused_access(access: Access) -> Finding {
    const NAME: &str = "Cloud Elements";
    let Access::Refused(said) = access else {
        return fail(
            NAME,
            "the two secrets are right, but each in the other's place",
            "exchange CLOUD_ELEMENTS_USER_SECRET and CLOUD_ELEMENTS_ORGANIZATION_SECRET",
        );
    };
    let (user, organization) = (said.contains("User secret"), said.contains("Organization"));
    let fix = match (user, organization) {
        (true, false) => "copy CLOUD_ELEMENTS_USER_SECRET anew: the user menu of Cloud Elements shows it",
        (false, true) => {
            "copy CLOUD_ELEMENTS_ORGANIZATION_SECRET anew: the user menu of Cloud Elements shows it"
        }
        // Its usual text names both, whichever is wrong (reference section 4.3).
        _ => {
            "copy CLOUD_ELEMENTS_USER_SECRET and CLOUD_ELEMENTS_ORGANIZATION_SECRET anew, and check that CLOUD_ELEMENTS_URL is their environment"
        }
    };
    fail(NAME, &format!("it refuses the secrets: {said}"), fix)
}

fn clock(ours: OffsetDateTime, theirs: Option<OffsetDateTime>) -> Finding {
    const NAME: &str = "clock";
    let Some(theirs) = theirs else {
        return warn(NAME, "Cloud Elements tells no time to compare with", "compare it by hand");
    };
    let skew = (ours - theirs).abs();
    let said = format!("{} s apart from Cloud Elements'", skew.whole_seconds());
    if skew > SKEW {
        fail(NAME, &said, "set this machine's clock by NTP: sessions, codes and leases go by it")
    } else {
        pass(NAME, &said)
    }
}

async fn element(chain: &Chain) -> Finding {
    const NAME: &str = "element";
    let key = &chain.config.cloud_elements.element_key;
    match chain.cloud_elements.authorize_url(&chain.state).await {
        Ok(_) => pass(NAME, &format!("{key} is in the catalogue")),
        Err(CallError::Refused(refusal)) if refusal.status.as_u16() == 404 => fail(
            NAME,
            &format!("Cloud Elements has no element {key}"),
            "correct ELEMENT_KEY; for MailChimp it is mailchimpv3",
        ),
        Err(error) => {
            warn(NAME, &format!("whether {key} is there cannot be told: {error}"), "try again later")
        }
    }
}

async fn queue(chain: &Chain) -> Finding {
    const NAME: &str = "queue";
    match chain.cloud_elements.queued(None).await {
        Ok(Queued { count: 0, more: false }) => pass(NAME, "nothing waits undelivered at Cloud Elements"),
        Ok(Queued { count: 1, more: false }) => queued("1 notification waits"),
        Ok(Queued { count, more: false }) => queued(&format!("{count} notifications wait")),
        Ok(Queued { count, more: true }) => queued(&format!("more than {count} notifications wait")),
        Err(error) => warn(NAME, &format!("it cannot be told: {error}"), "try again later"),
    }
}

fn queued(what: &str) -> Finding {
    Finding {
        name: "queue",
        verdict: Verdict::Warn,
        cause: format!("{what} at Cloud Elements, because their deliveries failed"),
        fix: Some("put what is above right; a Gangway that serves then asks Cloud Elements to redeliver, and so does \"Ask for them again\" on the page of an instance".to_owned()),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
