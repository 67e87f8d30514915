use hah_format::path::TreePath;
use hah_format::tree::Owner;

use crate::commands::bench::{read, refused, run, run_as, world};
use crate::scripts::Ids;
use crate::scripts::closure::bare_system;
use crate::world::{Follow, World};

const PASSWD: &str = "root:*:0:0:root:/root:/bin/bash\ndaemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
    www-data:*:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:*:0:\ndaemon:*:1:\nadm:*:4:\nwww-data:*:33:\nshadow:*:42:\nusers:*:100:\nnogroup:*:65534:\n";

pub(super) fn started() -> World<'static> {
    let mut world = world(&[
        ("usr/share/base-passwd/passwd.master", PASSWD),
        ("usr/share/base-passwd/group.master", GROUP),
        ("etc/skel/.profile", "# profile\n"),
        ("etc/services", "http 80/tcp www # World Wide Web\nssh 22/tcp\n"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("home/.keep", ""),
    ]);
    let ids = Ids { users: [("redis".into(), 130)].into(), groups: [("_ssh".into(), 101)].into() };
    world.start_accounts(&bare_system(), &ids).unwrap();
    world
}

#[track_caller]
fn check(world: &mut World<'_>, line: &str, status: u8, out: &str) {
    let ran = run(world, line);
    assert_eq!((ran.status, ran.out.as_str()), (status, out), "{line}: {}", ran.err);
}

#[test]
fn a_system_user_is_there_at_once_and_belongs_to_nogroup() {
    let mut world = started();
    check(&mut world, "adduser --system --quiet --home /var/lib/redis --no-create-home --gecos R redis", 0, "");
    check(&mut world, "getent passwd redis", 0, "redis:x:130:65534:R:/var/lib/redis:/usr/sbin/nologin\n");
    assert!(read(&mut world, "/etc/passwd").contains("redis:x:130:65534:"));
    check(&mut world, "getent shadow redis", 0, "redis:!:20454::::::\n");
    check(&mut world, "adduser --system redis", 0, "");
    check(&mut world, "adduser --system --uid 131 redis", 0, "");
    check(&mut world, "adduser --system --uid 131 www-data", 13, "");
    check(&mut world, "adduser --system --uid 33 other", 82, "");
    check(&mut world, "adduser --system --group --ingroup adm x", 53, "");
    check(&mut world, "adduser --system --ingroup none x", 12, "");
    check(&mut world, "adduser --system 12", 31, "");
    check(&mut world, "adduser --system --home relative x", 32, "");
    check(&mut world, "adduser", 51, "");
}

#[test]
fn a_derived_id_is_the_same_whoever_asks_first() {
    let (mut one, mut other) = (started(), started());
    check(&mut one, "adduser --system --group alpha", 0, "");
    check(&mut one, "addgroup --system beta", 0, "");
    check(&mut other, "groupadd -r beta", 0, "");
    check(&mut other, "groupadd --system alpha", 0, "");
    check(&mut other, "useradd -r -g alpha -d /nonexistent -s /usr/sbin/nologin alpha", 0, "");
    for line in ["getent passwd alpha", "getent group alpha beta", "getent gshadow alpha", "getent shadow alpha"] {
        assert_eq!(run(&mut one, line), run(&mut other, line), "{line}");
    }
    check(&mut one, "getent group beta", 0, "beta:x:657:\n");
}

#[test]
fn homes_are_as_adduser_makes_them() {
    let mut world = started();
    check(&mut world, "adduser --system --group --home /var/lib/x/deep x", 0, "");
    check(&mut world, "adduser --disabled-password --gecos P p", 0, "");
    let stat = |world: &World<'_>, path: &str| {
        let stat = world.stat(&TreePath::root(), path, Follow::No).unwrap();
        (stat.meta.mode, stat.meta.user.to_string(), stat.meta.group.to_string())
    };
    assert_eq!(stat(&world, "/var/lib/x/deep"), (0o755, "x".to_owned(), "x".to_owned()));
    assert_eq!(stat(&world, "/var/lib/x"), (0o755, "root".to_owned(), "root".to_owned()));
    assert_eq!(stat(&world, "/home/p"), (0o700, "p".to_owned(), "p".to_owned()));
    assert_eq!(stat(&world, "/home/p/.profile"), (0o644, "p".to_owned(), "p".to_owned()));
    assert!(run(&mut world, "getent group users").out.ends_with(":p\n"));
    let line = run(&mut world, "getent passwd p").out;
    let uid: u32 = line.split(':').nth(2).unwrap().parse().unwrap();
    assert!(crate::accounts::AUTOMATIC_PEOPLE.contains(&uid), "{line}");
    assert!(refused(&mut world, "adduser --gecos X q").contains("password"));
}

#[test]
fn members_come_and_go() {
    let mut world = started();
    check(&mut world, "adduser daemon adm", 0, "");
    check(&mut world, "adduser daemon adm", 0, "");
    check(&mut world, "adduser daemon none", 12, "");
    check(&mut world, "usermod -aG users,shadow daemon", 0, "");
    check(&mut world, "gpasswd -a daemon www-data", 0, "Adding user daemon to group www-data\n");
    check(
        &mut world,
        "getent group adm shadow users www-data",
        0,
        "adm:x:4:daemon\nshadow:x:42:daemon\nusers:x:100:daemon\nwww-data:x:33:daemon\n",
    );
    check(&mut world, "getent initgroups daemon", 0, "daemon                4 42 100 33\n");
    check(&mut world, "deluser --quiet daemon adm", 0, "");
    check(&mut world, "deluser daemon adm", 42, "");
    check(&mut world, "deluser daemon daemon", 43, "");
    check(&mut world, "usermod -G adm daemon", 0, "");
    check(&mut world, "getent group adm users", 0, "adm:x:4:daemon\nusers:x:100:\n");
    check(&mut world, "usermod -a daemon", 2, "");
    check(&mut world, "usermod -G none daemon", 6, "");
    check(&mut world, "gpasswd -d daemon users", 3, "Removing user daemon from group users\n");
}

#[test]
fn passwords_are_locked_and_aged_and_never_made() {
    let mut world = started();
    check(&mut world, "useradd -m -s /bin/bash u", 0, "");
    check(&mut world, "passwd -l u", 0, "");
    check(&mut world, "passwd -S u", 0, "u L 2026-01-01 0 99999 7 -1\n");
    check(&mut world, "chage -E 1 -M -1 u", 0, "");
    check(&mut world, "getent shadow u", 0, "u:!:20454:0::7::1:\n");
    check(&mut world, "chage -E 2026-01-02 u", 0, "");
    check(&mut world, "getent shadow u", 0, "u:!:20454:0::7::20455:\n");
    check(&mut world, "passwd -u u", 3, "");
    check(&mut world, "usermod -p $6$x u", 0, "");
    check(&mut world, "usermod -L u", 0, "");
    check(&mut world, "getent shadow u", 0, "u:!$6$x:20454:0::7::20455:\n");
    check(&mut world, "passwd -u u", 0, "");
    check(&mut world, "passwd -d u", 0, "");
    check(&mut world, "passwd -S u", 0, "u NP 2026-01-01 0 -1 7 -1\n");
    check(&mut world, "passwd -l none", 1, "");
    assert!(refused(&mut world, "passwd u").contains("asks for a password"));
    assert!(refused(&mut world, "chpasswd").contains("every copy"));
    let ran = run_as(&mut world, None, &["chpasswd", "-e"], "u:$y$hash\n").unwrap();
    assert_eq!(ran.status, 0);
    check(&mut world, "getent shadow u", 0, "u:$y$hash:20454:0::7::20455:\n");
}

#[test]
fn statuses_of_the_shadow_tools_are_their_manual_pages() {
    let mut world = started();
    for (line, status) in [
        ("groupadd adm", 9),
        ("groupadd -f adm", 0),
        ("groupadd -g 4 new", 4),
        ("groupadd -g x new", 3),
        ("groupadd", 2),
        ("groupadd a:b", 3),
        ("groupdel none", 6),
        ("groupdel daemon", 8),
        ("groupmod -n users adm", 9),
        ("groupmod -n admins adm", 0),
        ("groupmod none", 6),
        ("useradd daemon", 9),
        ("useradd users", 9),
        ("useradd -g none x", 6),
        ("useradd -u 1 x", 4),
        ("useradd -u z x", 3),
        ("useradd -r 77", 19),
        ("useradd -s a:b x", 3),
        ("userdel none", 6),
        ("usermod -l daemon www-data", 9),
        ("usermod daemon", 0),
        ("usermod -g none daemon", 6),
        ("chsh -s /bin/false none", 1),
        ("chage -l none", 0),
        ("delgroup none", 12),
        ("delgroup --system none", 0),
        ("deluser --system none", 0),
        ("deluser none", 12),
        ("deluser root", 55),
        ("deluser --system www-data", 13),
        ("delgroup daemon", 41),
    ] {
        if line.starts_with("chage -l") {
            assert!(refused(&mut world, line).contains("-l"));
            continue;
        }
        let ran = run(&mut world, line);
        assert_eq!(ran.status, status, "{line}: {}", ran.err);
    }
    check(&mut world, "chfn -f Full -r Room daemon", 0, "");
    check(&mut world, "chsh -s /bin/sh daemon", 0, "");
    check(&mut world, "usermod -l demon -d /d daemon", 0, "");
    check(&mut world, "getent passwd demon", 0, "demon:x:1:1:Full,Room:/d:/bin/sh\n");
    check(&mut world, "userdel demon", 0, "");
    check(&mut world, "getent passwd demon 1", 2, "");
}

#[test]
fn a_deleted_user_takes_its_own_group_along() {
    let mut world = started();
    check(&mut world, "useradd u", 0, "");
    check(&mut world, "adduser u adm", 0, "");
    check(&mut world, "deluser u", 0, "");
    check(&mut world, "getent group u", 2, "");
    check(&mut world, "getent group adm", 0, "adm:x:4:\n");
}

#[test]
fn a_script_that_edits_the_file_is_believed() {
    let mut world = started();
    let text = read(&mut world, "/etc/passwd") + "odd:x:77:100::/:/bin/sh\n";
    world.write(&TreePath::root(), "/etc/passwd", 0o644, text.into_bytes()).unwrap();
    check(&mut world, "getent passwd 77", 0, "odd:x:77:100::/:/bin/sh\n");
    check(&mut world, "adduser odd adm", 0, "");
    world.finish_accounts().unwrap();
    let accounts = world.effects.accounts.as_ref().unwrap();
    assert_eq!(accounts.users["odd"].uid, 77);
    assert!(accounts.groups["adm"].members.contains("odd"));
    world.write(&TreePath::root(), "/etc/group", 0o644, b"broken\n".to_vec()).unwrap();
    assert!(refused(&mut world, "getent group").contains("/etc/group, line 1: expected 4 fields"));
}

#[test]
fn secrets_keep_their_mode() {
    let mut world = started();
    check(&mut world, "adduser --system x", 0, "");
    let stat = world.stat(&TreePath::root(), "/etc/shadow", Follow::No).unwrap();
    assert_eq!((stat.meta.mode, stat.meta.group), (0o640, Owner::Name("shadow".into())));
}

#[test]
fn getent_reads_the_files_of_etc() {
    let mut world = started();
    check(&mut world, "getent services www", 0, "http                  80/tcp www\n");
    check(&mut world, "getent services 22/tcp", 0, "ssh                   22/tcp\n");
    check(&mut world, "getent services 22/udp", 2, "");
    check(&mut world, "getent hosts localhost", 0, "127.0.0.1       localhost\n");
    check(&mut world, "getent hosts example.org", 2, "");
    check(&mut world, "getent nothing x", 1, "");
    check(&mut world, "getent", 1, "");
}

#[test]
fn sysusers_applies_a_file_by_name_at_once() {
    let mut world = started();
    let top = TreePath::root();
    world.make_dirs(&top, "/usr/lib/sysusers.d", 0o755).unwrap();
    world.write(&top, "/usr/lib/sysusers.d/x.conf", 0o644, b"u redis - \"R\" /var/lib/redis\n".to_vec()).unwrap();
    check(&mut world, "systemd-sysusers none.conf", 1, "");
    check(&mut world, "systemd-sysusers x.conf", 0, "");
    check(&mut world, "getent passwd redis", 0, "redis:x:130:130:R:/var/lib/redis:/usr/sbin/nologin\n");
    let ran = run_as(&mut world, None, &["systemd-sysusers", "-"], "g render - -\nm redis render\n").unwrap();
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(run(&mut world, "getent group render").out.ends_with(":redis\n"));
}

#[test]
fn su_runs_as_the_user_or_says_who_is_missing() {
    let mut world = started();
    check(&mut world, "su -s /bin/sh -c true nobody-here", 1, "");
    check(&mut world, "su -c true www-data", 1, "");
    assert!(refused(&mut world, "runuser -u www-data").contains("without a command"));
    assert_eq!(world.acting, crate::scripts::Ownership::ROOT);
}
