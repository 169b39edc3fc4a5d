//! Making an invite.

use super::Onboarding;
use crate::entropy::fresh_id;
use crate::invite::{Checked, Invite, InviteToken};
use crate::storage::{StorageError, TokenHash};

impl Onboarding {
    /// Makes one; the token is in this answer alone.
    pub async fn invite(&self, checked: Checked) -> Result<(Invite, InviteToken), StorageError> {
        let invite = checked.made(fresh_id(&*self.clock, &*self.entropy), self.clock.now());
        let token = InviteToken::draw(&*self.entropy);
        self.storage.add_invite(&invite, TokenHash::of(token.expose())).await?;
        tracing::info!(invite = %invite.id, "invite made");
        Ok((invite, token))
    }
}
