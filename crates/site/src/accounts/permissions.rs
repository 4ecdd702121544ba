//! What who may do: the only place that says so.

use millrace_store::Role;

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    /// Change the own account, see and end the own sessions.
    OwnAccount,
    /// Comment on what one may watch, and like comments.
    Comment,
    /// Have channels, publish to them, and change them.
    OwnChannels,
    /// Watch what is not open to everybody.
    WatchAnything,
    /// Change and delete channels of others.
    ManageChannels,
    /// Change, delete and restore videos of others, decide on those that wait.
    ManageVideos,
    /// See who publishes and plays, and disconnect them.
    ManageStreams,
    /// See accounts, let in who waits, lock; invite others, and take invitations back.
    ManageUsers,
    /// See, reset and delete the stream keys of others.
    ManageKeys,
    /// Set what holds for the whole site, delete accounts, read the audit log.
    RunSite,
}

/// What personal tokens may be good for.
pub(crate) const SCOPES: [&str; 4] = ["account", "channels", "moderate", "admin"];

impl Act {
    #[cfg(test)]
    const ALL: [Self; 10] = [
        Self::OwnAccount,
        Self::Comment,
        Self::OwnChannels,
        Self::WatchAnything,
        Self::ManageChannels,
        Self::ManageVideos,
        Self::ManageStreams,
        Self::ManageUsers,
        Self::ManageKeys,
        Self::RunSite,
    ];

    /// The scope that a personal token needs for it.
    pub(crate) const fn scope(self) -> &'static str {
        match self {
            Self::OwnAccount | Self::Comment => "account",
            Self::OwnChannels => "channels",
            Self::WatchAnything
            | Self::ManageChannels
            | Self::ManageVideos
            | Self::ManageStreams
            | Self::ManageUsers => "moderate",
            Self::ManageKeys | Self::RunSite => "admin",
        }
    }

    /// The lowest role that may do it. Roles rise: whatever one may do, those above may as well.
    const fn needs(self) -> Role {
        match self {
            Self::OwnAccount | Self::Comment => Role::Viewer,
            Self::OwnChannels => Role::Creator,
            Self::WatchAnything
            | Self::ManageChannels
            | Self::ManageVideos
            | Self::ManageStreams
            | Self::ManageUsers => Role::Moderator,
            Self::ManageKeys | Self::RunSite => Role::Admin,
        }
    }
}

/// Whether a role may do something.
pub(crate) fn may(role: Role, act: Act) -> bool {
    role >= act.needs()
}

/// Whether one who manages users may change, or lock, an account of role `of` into one of role `into`: moderators have no
/// say over their own kind, nor over administrators.
pub(crate) fn may_change(role: Role, of: Role, into: Role) -> bool {
    role == Role::Admin || (role == Role::Moderator && of < Role::Moderator && into < Role::Moderator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_and_act() {
        #[rustfmt::skip]
        let table = [
            //                     viewer creator moderator admin
            (Act::OwnAccount,     [true,  true,   true,     true]),
            (Act::Comment,        [true,  true,   true,     true]),
            (Act::OwnChannels,    [false, true,   true,     true]),
            (Act::WatchAnything,  [false, false,  true,     true]),
            (Act::ManageChannels, [false, false,  true,     true]),
            (Act::ManageVideos,   [false, false,  true,     true]),
            (Act::ManageStreams,  [false, false,  true,     true]),
            (Act::ManageUsers,    [false, false,  true,     true]),
            (Act::ManageKeys,     [false, false,  false,    true]),
            (Act::RunSite,        [false, false,  false,    true]),
        ];
        assert_eq!(table.map(|(act, _)| act), Act::ALL);
        for (act, row) in table {
            for (role, allowed) in Role::ALL.iter().zip(row) {
                assert_eq!(may(*role, act), allowed, "{role:?} {act:?}");
            }
        }
    }

    #[test]
    fn who_changes_whose_role_into_which() {
        for of in Role::ALL.iter().copied() {
            for into in Role::ALL.iter().copied() {
                let below = of < Role::Moderator && into < Role::Moderator;
                let may = Role::ALL.iter().map(|role| may_change(*role, of, into)).collect::<Vec<_>>();
                assert_eq!(may, [false, false, below, true], "{of:?} into {into:?}");
            }
        }
    }
}
