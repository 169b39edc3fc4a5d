//! Every setting, read.

use super::face::{colour, host_name, support_address};
use super::setting::{
    self, Reader, api_base, argon2id_hash, authorize_url_from, comma_list, connect_access, database_url,
    duration, element_key, log_format, log_level, networks, parse, retention, return_urls, secret, web_url,
    word,
};
use super::{CloudElementsAccess, Config, Connecting, Face, Limits, Log, MailchimpApp, PublicUrl, Retention};

#[expect(clippy::too_many_lines, reason = "one line per setting, in the order of .env.example")]
/// `None` where one that must be there is missing or wrong; the reader has the problems.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Config> {
    const KEY: &str = "run `gangway keygen` and keep its output as SECRET_KEY";
    const LOGIN: &str = "https://login.mailchimp.com/oauth2/authorize";
    const API: &str = "https://api.cloud-elements.com/elements/api-v2";
    const APP: &str = "copy it from Mailchimp: Account, Extras, Registered apps";
    const SECRETS: &str = "copy it from Cloud Elements: the user menu shows both secrets";
    const SWITCH: &str = "write mailchimp or cloud-elements";
    const PREVIOUS: &str = "put the SECRET_KEY in that was used before, or leave it out";
    const HASH: &str = "leave it out to get a one-time sign-in link, or give a whole argon2id hash, in .env within single quotes ('$argon2id$…')";

    let public_url = reader.required(
        "PUBLIC_URL",
        "the https address customers open, such as https://connect.example.com",
        PublicUrl::parse,
    );
    let listen_addr =
        reader.or("LISTEN_ADDR", "127.0.0.1:8080", "an address and port, such as 127.0.0.1:8080", parse);
    let database_url = reader.or(
        "DATABASE_URL",
        "sqlite://data/gangway.db",
        "sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME",
        database_url,
    );
    let secret_key = reader.required("SECRET_KEY", KEY, setting::secret_key);
    let secret_key_previous = reader.optional("SECRET_KEY_PREVIOUS", PREVIOUS, setting::secret_key);
    let client_id = reader.required("MAILCHIMP_CLIENT_ID", APP, word);
    let client_secret = reader.required("MAILCHIMP_CLIENT_SECRET", APP, secret);
    let authorize_url = reader.or(
        "MAILCHIMP_AUTHORIZE_URL",
        LOGIN,
        "an https address; leave it out for Mailchimp's",
        web_url,
    );
    let url = reader.or("CLOUD_ELEMENTS_URL", API, "the https base of API v2, such as the default", api_base);
    let user_secret = reader.required("CLOUD_ELEMENTS_USER_SECRET", SECRETS, secret);
    let organization_secret = reader.required("CLOUD_ELEMENTS_ORGANIZATION_SECRET", SECRETS, secret);
    let element_key = reader.or("ELEMENT_KEY", "mailchimpv3", "a key of the element catalogue", element_key);
    let authorize_url_from = reader.or("AUTHORIZE_URL_FROM", "mailchimp", SWITCH, authorize_url_from);
    let instance_tags = reader.or("INSTANCE_TAGS", "", "words with commas between", comma_list);
    let admin_password_hash = reader.optional("ADMIN_PASSWORD_HASH", HASH, argon2id_hash);
    let trusted_proxies =
        reader.or("TRUSTED_PROXIES", "", "addresses or networks with commas between", networks);
    let delivery_allowed_networks =
        reader.or("DELIVERY_ALLOWED_NETWORKS", "", "addresses or networks with commas between", networks);
    let timeout = reader.or("UPSTREAM_TIMEOUT", "60s", "a duration such as 500ms, 60s, 3m or 7d", duration);
    let recovery_window =
        reader.or("RECOVERY_WINDOW", "3m", "a duration such as 500ms, 60s, 3m or 7d", duration);
    let payloads = reader.or("PAYLOAD_RETENTION", "30d", "a duration such as 30d", retention);
    let events = reader.or("EVENT_RETENTION", "400d", "a duration such as 400d", retention);
    let access = reader.or("CONNECT_ACCESS", "public", "write public or invite", connect_access);
    let return_urls = reader.or(
        "RETURN_URLS",
        "",
        "https addresses with commas between; what is below one is allowed too",
        return_urls,
    );
    let rate_limit_per_minute =
        reader.or("RATE_LIMIT_PER_MINUTE", "60", "a whole number; 0 switches the limit off", parse);
    let name = reader.optional("HOST_NAME", "the name your customers know, 60 characters at most", host_name);
    let accent = reader.optional(
        "ACCENT_COLOR",
        "six hexadecimal digits, such as '#0d5f73', in .env within single quotes",
        colour,
    );
    let support = reader.optional(
        "SUPPORT_ADDRESS",
        "a mail address such as help@example.com, or an https address",
        support_address,
    );
    let privacy =
        reader.optional("PRIVACY_URL", "an https address, such as https://example.com/privacy", web_url);
    let log_format = reader.or("LOG_FORMAT", "text", "write text or json", log_format);
    let log_level = reader.or("LOG_LEVEL", "info", "write error, warn, info, debug or trace", log_level);

    Some(Config {
        public_url: public_url?,
        listen_addr: listen_addr?,
        database_url: database_url?,
        secret_key: secret_key?,
        secret_key_previous,
        mailchimp: MailchimpApp {
            client_id: client_id?,
            client_secret: client_secret?,
            authorize_url: authorize_url?,
        },
        cloud_elements: CloudElementsAccess {
            url: url?,
            user_secret: user_secret?,
            organization_secret: organization_secret?,
            element_key: element_key?,
            instance_tags: instance_tags?,
            timeout: timeout?,
        },
        authorize_url_from: authorize_url_from?,
        admin_password_hash,
        trusted_proxies: trusted_proxies?,
        delivery_allowed_networks: delivery_allowed_networks?,
        recovery_window: recovery_window?,
        retention: Retention { payloads: payloads?, events: events? },
        connecting: Connecting { access: access?, return_urls: return_urls? },
        rate_limit_per_minute: rate_limit_per_minute?,
        log: Log { format: log_format?, level: log_level? },
        limits: Limits::default(),
        face: Face { name, accent, support, privacy },
        demo: None,
    })
}
