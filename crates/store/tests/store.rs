//! The same behaviour on both databases. PostgreSQL is tested where `MILLRACE_TEST_POSTGRES` holds the address of a
//! server on which databases can be made: `scripts/with-postgres` starts one.
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use millrace_store::testing::fresh_postgres;
use millrace_store::*;
use time::Duration;

#[macro_use]
mod both;

on_both! {
    a_name_or_address_is_given_once
    a_profile_that_was_changed_meanwhile_is_not_overwritten
    an_address_that_changes_is_no_longer_confirmed
    the_last_administrator_stays
    lists_come_by_page_and_in_order
    a_session_lives_until_it_is_ended
    who_ends_all_sessions_keeps_the_own_one
    a_link_works_once_for_its_purpose_and_its_time
    a_password_is_reset_once_with_all_that_knew_the_old_one
    codes_of_the_second_factor_are_taken_once
    a_deleted_account_takes_along_what_is_its_own
    a_key_that_is_reset_is_no_longer_there
    a_channel_has_its_viewers
    an_owner_has_so_many_channels_and_they_are_found
    channels_are_found_by_language_and_listed_by_title
    broadcasts_left_open_are_ended
    settings_are_set_together
    the_log_outlives_those_in_it
    many_write_at_once
    who_follows_hears_of_changes
    accounts_are_found_by_words_role_and_state
    a_standing_that_was_changed_meanwhile_is_not_overwritten
    two_administrators_cannot_end_each_other_at_once
    the_log_is_found_by_who_and_what
    the_log_is_trimmed
    links_that_are_over_are_removed
    everything_is_counted
}

fn new_user(handle: &str) -> NewUser<'_> {
    NewUser {
        handle,
        display_name: "Somebody",
        email: None,
        password_hash: "$argon2id$",
        role: Role::Viewer,
        state: UserState::Active,
    }
}

async fn user(store: &Store, handle: &str) -> User {
    store.create_user(&new_user(handle)).await.unwrap()
}

fn new_channel<'a>(owner: &'a User, handle: &'a str) -> NewChannel<'a> {
    NewChannel { owner_id: &owner.id, handle, title: "A channel", search_text: handle, most: 3 }
}

async fn channel(store: &Store, owner: &User, handle: &str) -> Channel {
    store.create_channel(&new_channel(owner, handle)).await.unwrap()
}

fn first(limit: u32) -> PageRequest {
    PageRequest { limit, after: None }
}

fn soon() -> At {
    At::now().plus(Duration::hours(1))
}

async fn a_name_or_address_is_given_once(store: Store) {
    assert!(!store.has_users().await.unwrap());
    store.create_user(&NewUser { email: Some("a@example.org"), ..new_user("ada") }).await.unwrap();
    assert!(store.has_users().await.unwrap());
    let same_name = store.create_user(&new_user("ada")).await;
    assert!(matches!(same_name, Err(Error::Taken("the name"))), "{same_name:?}");
    let same_address = store.create_user(&NewUser { email: Some("a@example.org"), ..new_user("eve") }).await;
    assert!(matches!(same_address, Err(Error::Taken("the e-mail address"))), "{same_address:?}");
    user(&store, "eve").await;
    user(&store, "bob").await; // several have no address
    assert_eq!(store.user_by_email("a@example.org").await.unwrap().unwrap().handle, "ada");
    assert!(store.user_by_handle("nobody").await.unwrap().is_none());
}

async fn a_profile_that_was_changed_meanwhile_is_not_overwritten(store: Store) {
    let ada = user(&store, "ada").await;
    let change = Profile { bio: Some("数学"), ..Profile::default() };
    let changed = store.update_profile(&ada.id, ada.version, &change).await.unwrap();
    assert_eq!((changed.bio.as_str(), changed.handle.as_str(), changed.version), ("数学", "ada", ada.version + 1));
    let late = store.update_profile(&ada.id, ada.version, &Profile::default()).await;
    assert!(matches!(late, Err(Error::Changed)));
    let nobody = store.update_profile(&UserId::new(), 1, &change).await;
    assert!(matches!(nobody, Err(Error::NotFound)));
    assert_eq!(store.user(&ada.id).await.unwrap().unwrap().bio, "数学");
}

async fn an_address_that_changes_is_no_longer_confirmed(store: Store) {
    let ada = store.create_user(&NewUser { email: Some("a@example.org"), ..new_user("ada") }).await.unwrap();
    assert!(!store.confirm_email(&ada.id, "old@example.org").await.unwrap());
    assert!(store.confirm_email(&ada.id, "a@example.org").await.unwrap());
    let change = Profile { bio: Some("x"), ..Profile::default() };
    let same = store.update_profile(&ada.id, ada.version + 1, &change).await.unwrap();
    assert!(same.email_verified_at.is_some());
    for (token, kind) in [(1, LinkKind::Email), (2, LinkKind::PasswordReset), (3, LinkKind::Invitation)] {
        let link = NewLink {
            kind,
            token_hash: [token; 32],
            user_id: Some(&ada.id),
            created_by: None,
            subject: "a@example.org",
            expires_at: At::now().plus(Duration::hours(1)),
        };
        store.create_link(&link).await.unwrap();
    }
    let other = store.set_email(&ada.id, Some("b@example.org")).await.unwrap();
    assert_eq!((other.email.as_deref(), other.email_verified_at), (Some("b@example.org"), None));
    assert!(other.version > same.version);
    for (token, kind, left) in
        [(1, LinkKind::Email, false), (2, LinkKind::PasswordReset, false), (3, LinkKind::Invitation, true)]
    {
        assert_eq!(store.link(kind, &[token; 32]).await.unwrap().is_some(), left, "{kind:?}");
    }
    store.create_user(&NewUser { email: Some("c@example.org"), ..new_user("eve") }).await.unwrap();
    let taken = store.set_email(&ada.id, Some("c@example.org")).await;
    assert_eq!(taken.unwrap_err().to_string(), "the e-mail address is taken");
    assert_eq!(store.set_email(&ada.id, None).await.unwrap().email, None);
    assert!(matches!(store.set_email(&UserId::new(), None).await, Err(Error::NotFound)));
}

async fn the_last_administrator_stays(store: Store) {
    let admin = store.create_user(&NewUser { role: Role::Admin, ..new_user("root") }).await.unwrap();
    for (role, state) in [(Role::Creator, UserState::Active), (Role::Admin, UserState::Disabled)] {
        let refused = store.set_standing(&admin.id, role, state).await;
        assert!(matches!(refused, Err(Error::LastAdministrator)), "{refused:?}");
    }
    assert!(matches!(store.delete_user(&admin.id).await, Err(Error::LastAdministrator)));
    let still = store.user(&admin.id).await.unwrap().unwrap();
    assert_eq!((still.role, still.state), (Role::Admin, UserState::Active), "nothing was changed");
    let second = user(&store, "second").await;
    store.set_standing(&second.id, Role::Admin, UserState::Active).await.unwrap();
    store.delete_user(&admin.id).await.unwrap();
}

async fn lists_come_by_page_and_in_order(store: Store) {
    for n in 0..5 {
        user(&store, &format!("user{n}")).await;
    }
    let pending = store.create_user(&NewUser { state: UserState::Pending, ..new_user("late") }).await.unwrap();
    let mut seen = Vec::new();
    let mut request = first(4);
    loop {
        let page = store.users(None, &request).await.unwrap();
        seen.extend(page.items.into_iter().map(|user| user.handle));
        match page.next {
            Some(next) => request.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ["late", "user4", "user3", "user2", "user1", "user0"]);
    let waiting = store.users(Some(UserState::Pending), &first(10)).await.unwrap();
    assert_eq!(waiting.items.iter().map(|user| &user.id).collect::<Vec<_>>(), [&pending.id]);
    assert_eq!(store.users(None, &first(6)).await.unwrap().next, None, "a full last page has no next one");
}

async fn session(store: &Store, user: &User, token: u8, expires_at: At) -> Session {
    let new = NewSession {
        user_id: &user.id,
        token_hash: [token; 32],
        remember: true,
        user_agent: "Browser",
        address: "::1",
        expires_at,
    };
    store.create_session(&new).await.unwrap()
}

async fn a_session_lives_until_it_is_ended(store: Store) {
    let (ada, eve) = (user(&store, "ada").await, user(&store, "eve").await);
    let made = session(&store, &ada, 1, soon()).await;
    assert_eq!(store.session_by_token(&[1; 32]).await.unwrap().as_ref(), Some(&made));
    assert!(made.remember);
    let (used, until) = (At::now().plus(Duration::minutes(5)), soon().plus(Duration::hours(1)));
    store.touch_session(&made.id, used, until, "::2").await.unwrap();
    let touched = store.session_by_token(&[1; 32]).await.unwrap().unwrap();
    assert_eq!((touched.last_used_at, touched.expires_at, touched.address.as_str()), (used, until, "::2"));
    assert!(matches!(store.delete_session(&eve.id, &made.id).await, Err(Error::NotFound)), "it is Ada's");
    store.delete_session(&ada.id, &made.id).await.unwrap();
    store.touch_session(&made.id, used, until, "::2").await.unwrap();
    assert_eq!(store.session_by_token(&[1; 32]).await.unwrap(), None, "a late use does not bring it back");
    session(&store, &ada, 2, At::now().plus(Duration::seconds(-1))).await;
    session(&store, &ada, 3, soon()).await;
    assert_eq!(store.delete_expired_sessions(At::now()).await.unwrap(), 1);
}

async fn who_ends_all_sessions_keeps_the_own_one(store: Store) {
    let (ada, eve) = (user(&store, "ada").await, user(&store, "eve").await);
    let own = session(&store, &ada, 1, soon()).await;
    session(&store, &ada, 2, soon()).await;
    session(&store, &eve, 3, soon()).await;
    assert_eq!(store.delete_sessions_of(&ada.id, Some(&own.id)).await.unwrap(), 1);
    assert_eq!(store.sessions_of(&ada.id).await.unwrap(), [own]);
    assert_eq!(store.delete_sessions_of(&ada.id, None).await.unwrap(), 1);
    assert_eq!(store.sessions_of(&eve.id).await.unwrap().len(), 1);
}

async fn a_link_works_once_for_its_purpose_and_its_time(store: Store) {
    let ada = user(&store, "ada").await;
    let new = |kind, token: u8, expires_at| NewLink {
        kind,
        token_hash: [token; 32],
        user_id: Some(&ada.id),
        created_by: None,
        subject: "a@example.org",
        expires_at,
    };
    store.create_link(&new(LinkKind::Email, 1, soon())).await.unwrap();
    assert!(store.take_link(LinkKind::PasswordReset, &[1; 32]).await.unwrap().is_none(), "another purpose");
    assert!(store.link(LinkKind::Email, &[1; 32]).await.unwrap().is_some());
    let taken = tokio::join!(store.take_link(LinkKind::Email, &[1; 32]), store.take_link(LinkKind::Email, &[1; 32]));
    let taken = [taken.0.unwrap(), taken.1.unwrap()];
    assert_eq!(taken.iter().flatten().count(), 1, "of two who try at once, one gets it");
    assert_eq!(taken.iter().flatten().next().unwrap().subject, "a@example.org");
    store.create_link(&new(LinkKind::PasswordReset, 2, At::now().plus(Duration::seconds(-1)))).await.unwrap();
    assert!(store.take_link(LinkKind::PasswordReset, &[2; 32]).await.unwrap().is_none(), "too late");
    store.create_link(&new(LinkKind::PasswordReset, 3, soon())).await.unwrap();
    store.delete_links(LinkKind::PasswordReset, Some(&ada.id)).await.unwrap();
    assert!(store.link(LinkKind::PasswordReset, &[3; 32]).await.unwrap().is_none());
}

async fn a_password_is_reset_once_with_all_that_knew_the_old_one(store: Store) {
    let (ada, eve) = (user(&store, "ada").await, user(&store, "eve").await);
    let link = |of: &User, letter: u8| {
        let (user_id, store) = (of.id.clone(), store.clone());
        async move {
            let new = NewLink {
                kind: LinkKind::PasswordReset,
                token_hash: [letter; 32],
                user_id: Some(&user_id),
                created_by: None,
                subject: "",
                expires_at: soon(),
            };
            store.create_link(&new).await.unwrap();
        }
    };
    link(&ada, 1).await;
    link(&ada, 2).await;
    link(&eve, 3).await;
    session(&store, &ada, 1, soon()).await;
    session(&store, &eve, 2, soon()).await;
    let token = NewApiToken { user_id: &ada.id, name: "script", token_hash: [7; 32], scopes: "read", expires_at: None };
    store.create_token(&token, 1).await.unwrap().unwrap();

    let both = tokio::join!(store.reset_password(&[1; 32], "one"), store.reset_password(&[2; 32], "two"));
    let both = [both.0.unwrap(), both.1.unwrap()];
    let reset: Vec<User> = both.into_iter().flatten().collect();
    assert_eq!(reset.len(), 1, "the other link is spent by the first");
    assert_eq!(store.user(&ada.id).await.unwrap().unwrap().password_hash, reset[0].password_hash);
    assert!(store.session_by_token(&[1; 32]).await.unwrap().is_none());
    assert!(store.token_by_hash(&[7; 32]).await.unwrap().is_none());
    assert!(store.session_by_token(&[2; 32]).await.unwrap().is_some(), "somebody else's");
    assert!(store.link(LinkKind::PasswordReset, &[3; 32]).await.unwrap().is_some());
    assert!(store.reset_password(&[1; 32], "three").await.unwrap().is_none());
}

async fn codes_of_the_second_factor_are_taken_once(store: Store) {
    let ada = user(&store, "ada").await;
    store.set_totp(&ada.id, b"sealed", 99, &[[1; 32], [2; 32]]).await.unwrap();
    let another = store.set_totp(&ada.id, b"another", 99, &[[3; 32]]).await;
    assert!(matches!(another, Err(Error::Changed)), "one that is set is taken away first");
    assert_eq!(store.user(&ada.id).await.unwrap().unwrap().totp_secret.as_deref(), Some(&b"sealed"[..]));
    assert!(!store.take_totp_step(&ada.id, 99).await.unwrap(), "its first code was taken to set it");
    assert!(store.take_totp_step(&ada.id, 100).await.unwrap());
    assert!(!store.take_totp_step(&ada.id, 100).await.unwrap(), "the same code again");
    assert!(!store.take_totp_step(&ada.id, 99).await.unwrap(), "an older one");
    assert!(store.take_totp_step(&ada.id, 101).await.unwrap());
    assert!(store.take_recovery_code(&ada.id, &[1; 32]).await.unwrap());
    assert!(!store.take_recovery_code(&ada.id, &[1; 32]).await.unwrap());
    store.delete_totp(&ada.id).await.unwrap();
    assert!(!store.take_recovery_code(&ada.id, &[2; 32]).await.unwrap());
}

fn key<'a>(channel: &'a Channel, label: &'a str, key: u8) -> NewStreamKey<'a> {
    NewStreamKey { channel_id: &channel.id, label, key_hash: [key; 32], sealed_key: b"sealed", expires_at: None }
}

async fn a_deleted_account_takes_along_what_is_its_own(store: Store) {
    store.create_user(&NewUser { role: Role::Admin, ..new_user("root") }).await.unwrap();
    let (ada, eve) = (user(&store, "ada").await, user(&store, "eve").await);
    let (hers, other) = (channel(&store, &ada, "engine").await, channel(&store, &eve, "other").await);
    store.create_stream_key(&key(&hers, "", 1)).await.unwrap();
    store.invite_viewer(&other.id, &ada.id).await.unwrap();
    session(&store, &ada, 1, soon()).await;
    let token = NewApiToken { user_id: &ada.id, name: "script", token_hash: [7; 32], scopes: "read", expires_at: None };
    store.create_token(&token, 1).await.unwrap().unwrap();
    assert!(store.create_token(&token, 1).await.unwrap().is_none(), "no more than there may be");
    store.delete_user(&ada.id).await.unwrap();
    assert!(store.channel_by_handle("engine").await.unwrap().is_none());
    assert!(store.stream_key_by_hash(&[1; 32]).await.unwrap().is_none());
    assert!(store.session_by_token(&[1; 32]).await.unwrap().is_none());
    assert!(store.token_by_hash(&[7; 32]).await.unwrap().is_none());
    assert!(store.invited_viewers(&other.id, &first(10)).await.unwrap().items.is_empty());
    assert!(matches!(store.delete_user(&ada.id).await, Err(Error::NotFound)));
}

async fn a_key_that_is_reset_is_no_longer_there(store: Store) {
    let ada = user(&store, "ada").await;
    let engine = channel(&store, &ada, "engine").await;
    let main = store.create_stream_key(&key(&engine, "", 1)).await.unwrap();
    let phone = store.create_stream_key(&key(&engine, "phone", 2)).await.unwrap();
    let new = store.reset_stream_key(&engine.id, &main.id, [3; 32], b"other").await.unwrap();
    assert!(store.stream_key_by_hash(&[1; 32]).await.unwrap().is_none());
    assert_eq!(store.stream_keys_of(&engine.id).await.unwrap(), [new.clone(), phone.clone()]);
    let other = channel(&store, &ada, "other").await;
    let strange = store.reset_stream_key(&other.id, &main.id, [4; 32], b"other").await;
    assert!(matches!(strange, Err(Error::NotFound)), "it is another channel's");
    store.touch_stream_key(&new.id).await.unwrap();
    assert!(store.stream_key_by_hash(&[3; 32]).await.unwrap().unwrap().last_used_at.is_some());
    store.delete_stream_key(&engine.id, &phone.id).await.unwrap();
    assert!(matches!(store.delete_stream_key(&engine.id, &phone.id).await, Err(Error::NotFound)));
}

async fn a_channel_has_its_viewers(store: Store) {
    let (ada, eve) = (user(&store, "ada").await, user(&store, "eve").await);
    let engine = channel(&store, &ada, "engine").await;
    let again = store.create_channel(&new_channel(&eve, "engine")).await;
    assert!(matches!(again, Err(Error::Taken(_))));
    assert_eq!(
        store.public_channels(&ChannelFilter::default(), &first(10)).await.unwrap().items,
        std::slice::from_ref(&engine)
    );
    let hidden = ChannelChange { visibility: Some(Visibility::Private), category: Some("music"), ..Default::default() };
    let hidden = store.update_channel(&engine.id, engine.version, &hidden).await.unwrap();
    assert_eq!(hidden.visibility, Visibility::Private);
    assert!(store.public_channels(&ChannelFilter::default(), &first(10)).await.unwrap().items.is_empty());
    assert!(matches!(store.update_channel(&engine.id, 1, &Default::default()).await, Err(Error::Changed)));
    store.invite_viewer(&engine.id, &eve.id).await.unwrap();
    store.invite_viewer(&engine.id, &eve.id).await.unwrap(); // twice is once
    assert_eq!(store.invited_ids(&engine.id).await.unwrap(), std::slice::from_ref(&eve.id));
    assert_eq!(store.invited_viewers(&engine.id, &first(10)).await.unwrap().items.len(), 1);
    store.uninvite_viewer(&engine.id, &eve.id).await.unwrap();
    assert!(store.invited_ids(&engine.id).await.unwrap().is_empty());
    let now = store.channel(&engine.id).await.unwrap().unwrap();
    assert!(
        engine.play_epoch < hidden.play_epoch && hidden.play_epoch < now.play_epoch,
        "each time somebody loses leave"
    );
    let shown = ChannelChange { visibility: Some(Visibility::Public), ..Default::default() };
    let shown = store.update_channel(&engine.id, hidden.version, &shown).await.unwrap();
    assert_eq!(store.public_channels(&of("music"), &first(10)).await.unwrap().items, [shown]);
    assert!(store.public_channels(&of("art"), &first(10)).await.unwrap().items.is_empty());
}

async fn an_owner_has_so_many_channels_and_they_are_found(store: Store) {
    let ada = user(&store, "ada").await;
    for handle in ["night_market", "100%", "夜市直播"] {
        channel(&store, &ada, handle).await;
    }
    let fourth = store.create_channel(&new_channel(&ada, "fourth")).await;
    assert!(matches!(fourth, Err(Error::TooMany(_))));
    for (words, found) in [
        (&["market"][..], &["night_market"][..]),
        (&["market", "night"], &["night_market"]),
        (&["market", "day"], &[]),
        (&["夜市"], &["夜市直播"]),
        (&["%"], &["100%"]),
        (&["t_m"], &["night_market"]),
        (&["'; DROP TABLE channels; --"], &[]),
        (&["\\"], &[]),
    ] {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let filter = ChannelFilter { words: &words, ..Default::default() };
        let page = store.public_channels(&filter, &first(10)).await.unwrap();
        assert_eq!(page.items.iter().map(|c| c.handle.as_str()).collect::<Vec<_>>(), found, "{words:?}");
        let filter = ChannelFilter { words: &words, ..of("art") };
        assert!(store.public_channels(&filter, &first(10)).await.unwrap().items.is_empty());
    }
}

fn of(category: &str) -> ChannelFilter<'_> {
    ChannelFilter { category, ..Default::default() }
}

async fn channels_are_found_by_language_and_listed_by_title(store: Store) {
    let ada = user(&store, "ada").await;
    for (handle, title, language) in [("one", "b", "zh-CN"), ("two", "C", "ZH"), ("three", "a", "zha")] {
        let made = channel(&store, &ada, handle).await;
        let change = ChannelChange { title: Some(title), language: Some(language), ..Default::default() };
        store.update_channel(&made.id, made.version, &change).await.unwrap();
    }
    let handles = async |filter: ChannelFilter<'_>, limit: u32| {
        let (mut page, mut handles) = (first(limit), Vec::new());
        loop {
            let part = store.public_channels(&filter, &page).await.unwrap();
            assert!(part.items.len() <= limit as usize);
            handles.extend(part.items.into_iter().map(|channel| channel.handle));
            match part.next {
                Some(next) => page.after = Some(next),
                None => return handles,
            }
        }
    };
    let all = ChannelFilter::default();
    for limit in [1, 2, 10] {
        assert_eq!(handles(all, limit).await, ["three", "two", "one"], "the newest first");
        let chinese = ChannelFilter { language: "zh", ..all };
        assert_eq!(handles(chinese, limit).await, ["two", "one"], "another language begins with the same letters");
        let by_title = ChannelFilter { order: ChannelOrder::Title, ..all };
        assert_eq!(handles(by_title, limit).await, ["three", "one", "two"]);
        assert_eq!(handles(ChannelFilter { language: "zh", ..by_title }, limit).await, ["one", "two"]);
        assert_eq!(handles(ChannelFilter { without: &["one"], ..by_title }, limit).await, ["three", "two"]);
        assert_eq!(handles(ChannelFilter { without: &["three", "two"], ..all }, limit).await, ["one"]);
    }
}

async fn broadcasts_left_open_are_ended(store: Store) {
    let ada = user(&store, "ada").await;
    let engine = channel(&store, &ada, "engine").await;
    let begun = NewLiveSession { channel_id: &engine.id, started_at: At::now() };
    let first_one = store.begin_live_session(&begun).await.unwrap();
    let end = LiveSessionEnd {
        ended_at: Some(At::now()),
        end_reason: Some(LiveEnd::Finished),
        peak_viewers: 7,
        video_codec: "avc1.64001f",
        width: 1280,
        height: 720,
        ..LiveSessionEnd::default()
    };
    store.update_live_session(&first_one.id, &end).await.unwrap();
    let open = store.begin_live_session(&begun).await.unwrap();
    assert_eq!(store.end_abandoned_live_sessions(open.seen_at).await.unwrap(), 0, "it was heard of just now");
    let later = open.seen_at.plus(Duration::milliseconds(1));
    assert_eq!(store.end_abandoned_live_sessions(later).await.unwrap(), 1);
    let sessions = store.live_sessions(&engine.id, &first(10)).await.unwrap().items;
    assert_eq!((sessions[0].end_reason.as_deref(), sessions[0].ended_at), (Some("crashed"), Some(open.seen_at)));
    assert_eq!((sessions[1].end_reason.as_deref(), sessions[1].peak_viewers), (Some("finished"), 7));
    // The server that has it was only slow to say so.
    store.update_live_session(&open.id, &LiveSessionEnd::default()).await.unwrap();
    let sessions = store.live_sessions(&engine.id, &first(10)).await.unwrap().items;
    assert_eq!((sessions[0].end_reason.as_deref(), sessions[0].ended_at), (None, None));
}

async fn settings_are_set_together(store: Store) {
    assert_eq!(store.settings().await.unwrap(), StoredSettings::default());
    store.change_settings(0, &[("registration", "open"), ("name", "Mill")]).await.unwrap();
    let changed = store.change_settings(1, &[("registration", "closed")]).await.unwrap();
    let late = store.change_settings(1, &[("name", "Weir")]).await;
    assert!(matches!(late, Err(Error::Changed)), "{late:?}");
    let settings = store.settings().await.unwrap();
    assert_eq!((settings.version, &settings), (2, &changed));
    assert_eq!(
        settings.values.iter().collect::<Vec<_>>(),
        [(&"name".to_owned(), &"Mill".to_owned()), (&"registration".to_owned(), &"closed".to_owned())]
    );
}

async fn the_log_outlives_those_in_it(store: Store) {
    store.create_user(&NewUser { role: Role::Admin, ..new_user("root") }).await.unwrap();
    let ada = user(&store, "ada").await;
    let entry = NewAuditEntry { actor: "ada", action: Action::LogIn, subject: "", address: "::1", details: "" };
    store.add_audit(&entry).await.unwrap();
    store.delete_user(&ada.id).await.unwrap();
    let log = store.audit_log(&first(10)).await.unwrap().items;
    assert_eq!((log[0].actor.as_str(), log[0].action.as_str(), log[0].address.as_str()), ("ada", "log-in", "::1"));
}

async fn many_write_at_once(store: Store) {
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let one = user(&store, &format!("user{n}")).await;
                let change = Profile { bio: Some("here"), ..Profile::default() };
                store.update_profile(&one.id, one.version, &change).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.users(None, &first(100)).await.unwrap().items.len(), 40);
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open("sqlite://millrace.db", directory.path()).await.unwrap();
    user(&store, "ada").await;
    store.close().await;
    let store = Store::open("sqlite://millrace.db", directory.path()).await.unwrap();
    assert!(store.user_by_handle("ada").await.unwrap().is_some());
    assert_eq!(store.kind(), Kind::Sqlite);
    store.ping().await.unwrap();
}

#[tokio::test]
async fn an_address_of_no_known_kind_is_refused_in_words() {
    for url in ["mysql://localhost/x", "", "millrace.db", "sqlite://"] {
        let error = Store::open(url, Path::new("/nowhere")).await.unwrap_err();
        assert!(matches!(&error, Error::Address(words) if words.contains("sqlite://")), "{url}: {error}");
    }
}

async fn who_follows_hears_of_changes(store: Store) {
    let ada = user(&store, "ada").await;
    store.tell(&Change::Settings).await.unwrap(); // before anybody follows
    let (mut one, mut other) = (store.changes(), store.clone().changes());
    let told = [Change::User(ada.id), Change::Channel("movie".to_owned()), Change::Keys("movie".to_owned())];
    for change in &told {
        store.tell(change).await.unwrap();
    }
    for changes in [&mut one, &mut other] {
        let mut heard = changes.next().await.unwrap();
        if store.kind() == Kind::Postgres && heard == Change::Settings {
            heard = changes.next().await.unwrap(); // it was still on its way
        }
        assert_eq!(heard, told[0]);
        assert_eq!(changes.next().await.as_ref(), Some(&told[1]));
        assert_eq!(changes.next().await.as_ref(), Some(&told[2]));
    }
}

#[tokio::test]
async fn other_nodes_hear_of_changes_even_after_their_connection_was_lost() {
    let Some(url) = fresh_postgres("nodes").await else { return };
    let here = Store::open(&url, Path::new("")).await.unwrap();
    let there = Store::open(&url, Path::new("")).await.unwrap();
    let mut changes = there.changes();
    here.tell(&Change::Channel("movie".to_owned())).await.unwrap();
    assert_eq!(changes.next().await, Some(Change::Channel("movie".to_owned())));
    let admin = sqlx::PgPool::connect(&url).await.unwrap();
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    sqlx::query(sql).execute(&admin).await.unwrap();
    assert_eq!(changes.next().await, Some(Change::Everything), "something may have been missed");
    here.tell(&Change::Settings).await.unwrap();
    assert_eq!(changes.next().await, Some(Change::Settings), "and they are heard again");
    there.close().await;
    here.close().await;
}

async fn accounts_are_found_by_words_role_and_state(store: Store) {
    store.create_user(&NewUser { email: Some("ada@mill.example"), ..new_user("ada_l") }).await.unwrap();
    store.create_user(&NewUser { display_name: "Bob 100%", role: Role::Creator, ..new_user("bob") }).await.unwrap();
    store.create_user(&NewUser { state: UserState::Disabled, role: Role::Creator, ..new_user("eve") }).await.unwrap();
    let found = async |words, role, state| {
        let page = store.find_users(&UserFilter { words, role, state }, &first(10)).await.unwrap();
        page.items.into_iter().map(|user| user.handle).collect::<Vec<_>>()
    };
    assert_eq!(found("", None, None).await, ["eve", "bob", "ada_l"]);
    assert_eq!(found("MILL", None, None).await, ["ada_l"]);
    assert_eq!(found(" somebody ", None, None).await, ["eve", "ada_l"]);
    assert_eq!(found("0%", None, None).await, ["bob"]);
    assert_eq!(found("a_l", None, None).await, ["ada_l"]);
    for nothing in ["%", "_b", "!", "' OR 1=1 --"] {
        let all = found(nothing, None, None).await;
        assert!(all.iter().all(|handle| handle == "bob" && nothing == "%"), "{nothing}: {all:?}");
    }
    assert_eq!(found("", Some(Role::Creator), None).await, ["eve", "bob"]);
    assert_eq!(found("", Some(Role::Creator), Some(UserState::Disabled)).await, ["eve"]);
    assert_eq!(found("bob", None, Some(UserState::Disabled)).await, [""; 0]);
}

async fn a_standing_that_was_changed_meanwhile_is_not_overwritten(store: Store) {
    store.create_user(&NewUser { role: Role::Admin, ..new_user("root") }).await.unwrap();
    let ada = user(&store, "ada").await;
    let changed = store.change_standing(&ada.id, ada.version, Role::Creator, UserState::Active).await.unwrap();
    let late = store.change_standing(&ada.id, ada.version, Role::Viewer, UserState::Disabled).await;
    assert!(matches!(late, Err(Error::Changed)), "{late:?}");
    assert_eq!(store.user(&ada.id).await.unwrap().unwrap().version, changed.version);
}

async fn two_administrators_cannot_end_each_other_at_once(store: Store) {
    let mut last = store.create_user(&NewUser { role: Role::Admin, ..new_user("first") }).await.unwrap();
    for round in 0..10 {
        let new = NewUser { role: Role::Admin, ..new_user("next") };
        let next = store.create_user(&NewUser { handle: &format!("next{round}"), ..new }).await.unwrap();
        let demote = async |user: &User| store.set_standing(&user.id, Role::Viewer, UserState::Active).await.is_ok();
        let done = tokio::join!(demote(&last), demote(&next));
        assert!(done.0 != done.1, "one of them stays: {done:?}");
        if done.0 {
            last = next;
        }
    }
}

async fn the_log_is_found_by_who_and_what(store: Store) {
    for (actor, action) in [("ada", Action::LogIn), ("eve", Action::LogIn), ("ada", Action::Kick)] {
        let entry = NewAuditEntry { actor, action, subject: "", address: "::1", details: "" };
        store.add_audit(&entry).await.unwrap();
    }
    let found = async |actor, action| {
        let page = store.find_audit(&AuditFilter { actor, action }, &first(10)).await.unwrap();
        page.items.into_iter().map(|entry| format!("{} {}", entry.actor, entry.action)).collect::<Vec<_>>()
    };
    assert_eq!(found(None, None).await, ["ada kick", "eve log-in", "ada log-in"]);
    assert_eq!(found(Some("ada"), None).await, ["ada kick", "ada log-in"]);
    assert_eq!(found(None, Some(Action::LogIn)).await, ["eve log-in", "ada log-in"]);
    assert_eq!(found(Some("ada"), Some(Action::LogIn)).await, ["ada log-in"]);
    assert_eq!(found(Some(""), None).await, [""; 0]);
}

async fn the_log_is_trimmed(store: Store) {
    for (actor, action) in [("a", Action::LogInRefused), ("b", Action::LogIn), ("c", Action::LogInRefused)] {
        let entry = NewAuditEntry { actor, action, subject: "", address: "", details: "" };
        store.add_audit(&entry).await.unwrap();
    }
    let actors = async || {
        let log = store.audit_log(&first(10)).await.unwrap().items;
        log.into_iter().map(|entry| entry.actor).collect::<Vec<_>>()
    };
    let long_ago = At::now().plus(Duration::days(-1));
    assert_eq!(store.trim_audit(long_ago, 2).await.unwrap(), 0);
    assert_eq!(store.trim_audit(long_ago, 1).await.unwrap(), 1);
    assert_eq!(actors().await, ["c", "b"]);
    assert_eq!(store.trim_audit(At::now().plus(Duration::seconds(1)), 1).await.unwrap(), 2);
}

async fn links_that_are_over_are_removed(store: Store) {
    for (n, hours) in [(1, -1), (2, 1)] {
        let new = NewLink {
            kind: LinkKind::Invitation,
            token_hash: [n; 32],
            user_id: None,
            created_by: None,
            subject: "",
            expires_at: At::now().plus(Duration::hours(hours)),
        };
        store.create_link(&new).await.unwrap();
    }
    assert_eq!(store.delete_expired_links(At::now()).await.unwrap(), 1);
    assert!(store.link(LinkKind::Invitation, &[2; 32]).await.unwrap().is_some());
}

async fn everything_is_counted(store: Store) {
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    let ada = user(&store, "ada").await;
    store.create_user(&NewUser { state: UserState::Pending, ..new_user("eve") }).await.unwrap();
    channel(&store, &ada, "movie").await;
    assert_eq!(store.counts().await.unwrap(), Counts { users: 2, pending: 1, channels: 1 });
    assert_eq!(store.count_pending_users().await.unwrap(), 1);
}

#[tokio::test]
async fn a_copy_is_made_while_the_database_is_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open("sqlite://site.db", directory.path()).await.unwrap();
    user(&store, "ada").await;
    let copy = directory.path().join("copy.db");
    let writing = async {
        for n in 0..50 {
            user(&store, &format!("user{n}")).await;
        }
    };
    let (made, ()) = tokio::join!(backup("sqlite://site.db", directory.path(), &copy), writing);
    made.unwrap();
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let restored = Store::open("sqlite://copy.db", directory.path()).await.unwrap();
    assert_eq!(restored.user_by_handle("ada").await.unwrap().unwrap().handle, "ada");
    let again = backup("sqlite://site.db", directory.path(), &copy).await;
    assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
    let nowhere = directory.path().join("none/copy.db");
    let failed = backup("sqlite://site.db", directory.path(), &nowhere).await;
    assert!(matches!(failed, Err(BackupError::File { .. })), "{failed:?}");
    let none = directory.path().join("other.db");
    assert!(backup("sqlite://no-such.db", directory.path(), &none).await.is_err());
    assert!(!none.exists() && !directory.path().join("other.db.part").exists(), "nothing half made is left");
    assert!(!directory.path().join("no-such.db").exists());
    let postgres = backup("postgres://host/site", directory.path(), &none).await;
    assert!(matches!(postgres, Err(BackupError::Postgres)), "{postgres:?}");
}
