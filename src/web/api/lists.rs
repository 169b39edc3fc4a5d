//! Which part of a list is asked for.

use serde::Deserialize;
use utoipa::IntoParams;

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// At most so many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    pub(super) limit: Option<String>,
    /// `next` of the part before.
    pub(super) cursor: Option<String>,
}
