use super::oracle::{Files, check_rows, files};

fn fixture() -> Files {
    files(&[
        ("a", "one\ntwo\n"),
        ("a.txt@600", "one"),
        (".hid", ""),
        ("d/", ""),
        ("d/f@755", "f\n"),
        ("d/sub/", ""),
        ("l", "-> d/f"),
        ("m", "-> d"),
        ("n", "-> nowhere"),
        ("o", "-> ../work/d/sub"),
        ("loop", "-> loop"),
    ])
}

#[test]
fn paths_are_read_as_in_readlink_and_realpath() {
    check_rows(
        &fixture(),
        r#"readlink l
        readlink a
        readlink nope
        readlink -n l
        readlink -f l
        readlink -f m/f
        readlink -f n
        readlink -f nope
        readlink -f nope/x
        readlink -e n
        readlink -e a
        readlink -m nope/x/../y
        readlink -m m/nope/..
        readlink -f loop
        readlink -f o/..
        readlink -f d/
        readlink -f a/
        readlink -q a
        readlink l m
        readlink -z l
        readlink -f /work/m/../a
        realpath a
        realpath l
        realpath nope
        realpath nope/x
        realpath -e nope
        realpath -m nope/x
        realpath -s m/f
        realpath -s m/../a
        realpath --relative-to=d a
        realpath --relative-to=. d/sub
        realpath --relative-to=d/sub l
        realpath --relative-base=d d/f a
        realpath -q nope/x
        realpath -z a
        basename /usr/lib/x.so
        basename /usr/lib/
        basename x.so .so
        basename .so .so
        basename /
        basename //
        basename ''
        basename -s .c a.c b.c
        basename -a x/y z
        basename a b c
        basename
        dirname /usr/lib/x
        dirname /usr/lib/
        dirname x
        dirname /x
        dirname //x//y//
        dirname ''
        dirname a/b c/d
        dirname /"#,
    );
}

#[test]
fn listings_are_as_in_ls_and_stat() {
    check_rows(
        &fixture(),
        r#"ls
        ls -1
        ls -a
        ls -A
        ls d
        ls d a
        ls a nope
        ls nope
        ls -d d
        ls -d d a m
        ls m
        ls -R
        ls -r
        ls -F
        ls -p
        ls -1F d
        ls -U d
        ls -L l
        ls n
        ls -S d
        stat -c %a a a.txt d
        stat -c '%n %s %F' a .hid d l
        stat -c %A d/f d l
        stat -c '%N' l a
        stat -c %h a
        stat -c '%#a' a
        stat -L -c %F l
        stat -Lc %s l
        stat -c '%U:%G' a
        stat -c '%u %g' a
        stat -c %Y a
        stat -c %y a
        stat --format=%a nope
        stat --printf='%a\n' a
        stat -c '%%' a
        stat -c %5a a
        stat -c %-5ax a
        stat -c %05a a
        stat -c %f a d l
        du -bs a"#,
    );
}
