use super::oracle::{Files, check_rows, files};

fn fixture() -> Files {
    files(&[
        ("a", "one\ntwo\nthree\n"),
        ("b", "one\nTWO\nthree\nfour\n"),
        ("c", "one\ntwo\nthree\n"),
        ("e", ""),
        ("nonl", "one\ntwo"),
        ("sp", "one  x\ntwo\n"),
        ("sp2", "one x\ntwo\n"),
        ("s1", "a 1\nb 2\nd 4\n"),
        ("s2", "b x\nc y\nd z\nd w\n"),
        ("n", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n"),
        ("m", "1\n2\n3\nfour\n5\n6\n7\n8\n9\n10\n11\n12\n13\n15\n16\n"),
        ("sums", "f97c5d29941bfb1b2fdab0874906ab82  zero\n5bbf5a52328e7439ae6e719dfe712200  e\n"),
        ("d/", ""),
        ("d/x@755", "#!/bin/sh\n"),
        ("d/y.sh@755", "#!/bin/sh\n"),
        ("d/z", "z\n"),
        ("d2/", ""),
        ("d2/x", "other\n"),
        ("d2/w", ""),
        ("l", "-> a"),
        ("b64", "aGVsbG8gd29ybGQ=\n"),
        ("bad64", "aGVs!bG8=\n"),
        ("bin", "\0\u{1}\u{2}\n"),
        ("long", "0123456789012345678901234567890123456789012345678901234567890123456789\n"),
    ])
}

#[test]
fn comparing_is_as_in_diffutils_and_coreutils() {
    check_rows(
        &fixture(),
        r#"cmp a c
        cmp a b
        cmp -s a b
        cmp -s a c
        cmp a nonl
        cmp a e
        cmp a nope
        cmp -s a nope
        cmp -l a b
        cmp a - < c
        cmp -n 4 a b
        diff a c
        diff a b
        diff -q a b
        diff -q a c
        diff -s a c
        diff -u --label x --label y a b
        diff -u --label x --label y n m
        diff -U1 --label x --label y n m
        diff n m
        diff a e
        diff e a
        diff a nonl
        diff nonl a
        diff a nope
        diff -N a nope
        diff -b sp sp2
        diff -w sp sp2
        diff -qr d d2
        diff -rq d d
        diff -q a d
        diff - a < c
        diff --brief a b
        diff bin a
        comm s1 s2
        comm -12 s1 s1
        comm -23 s1 s2
        comm -13 s1 s2
        comm -3 s1 s2
        join s1 s2
        join -a1 s1 s2
        join -v1 s1 s2
        join -v 2 s1 s2
        join -1 1 -2 1 s1 s2"#,
    );
}

#[test]
fn digests_are_as_in_coreutils() {
    check_rows(
        &fixture(),
        r#"md5sum a
        md5sum a b
        md5sum < a
        md5sum - < a
        md5sum nope a
        md5sum -b a
        sha1sum a
        sha256sum a e
        md5sum -c sums
        md5sum -c --quiet sums
        md5sum --status -c sums
        md5sum -c a
        cksum a
        cksum < a
        cksum e
        base64 a
        base64 long
        base64 -w0 long
        base64 -w 10 a
        base64 -d b64
        base64 -d bad64
        base64 -di bad64
        base64 < bin
        base64 e"#,
    );
}

#[test]
fn texts_and_numbers_are_made_as_in_coreutils() {
    check_rows(
        &fixture(),
        r#"printf 'hello\n'
        printf '%s\n' a b c
        printf '%s %s\n' a b c
        printf '%d|%5d|%-5d|%05d|%+d\n' 42 42 42 42 42
        printf '%x %X %o %u %#x %#o\n' 255 255 8 7 255 8
        printf '%c%c\n' hello world
        printf '%5s|%-5s|%.2s\n' ab ab abc
        printf '%b\n' 'a\tb\0101\x41'
        printf '%b' 'a\cb' c
        printf 'a\cb'
        printf '%%\n'
        printf '%f %.2f %e %g\n' 1.5 2.345 12345.678 0.00001
        printf '%s'
        printf ''
        printf '\101\x41\t\\\n'
        printf '%d\n' 0x1f 010 "'A"
        printf '%d\n' abc
        printf '%d\n' 12abc
        printf '%s %d\n' a
        printf 'x' y
        printf '%*d|%-*d\n' 5 1 5 2
        printf '%.3d\n' 7
        printf '%q\n' 'a b'
        printf -- '-x\n'
        printf '%i\n' -5
        printf '%s\n' é
        printf '%5s\n' é
        printf '\u00e9\n'
        printf '%z\n'
        printf '% d\n' 5
        printf '%.0f %.10g\n' 2.5 3.14159265358979
        printf '%G %E\n' 1e10 1
        printf
        expr 1 + 2
        expr 7 / 2
        expr 7 % 3
        expr 2 '*' 3
        expr 1 - 5
        expr 0
        expr 5 '>' 3
        expr 10 '<' 9
        expr abc = abc
        expr abc '!=' abc
        expr abc '<' abd
        expr '' '|' x
        expr a '|' b
        expr a '&' ''
        expr a '&' 0
        expr 0 '|' 0
        expr length hello
        expr substr hello 2 3
        expr index hello l
        expr match hello 'h\(.*\)o'
        expr hello : 'h\(.*\)o'
        expr hello : 'hel*'
        expr hello : x
        expr hello : '\(x\)'
        expr ( 1 + 2 ) '*' 3
        expr 1 + 2 '*' 3
        expr + length
        expr 1 /
        expr 1 / 0
        expr a + 1
        expr 1 2
        expr ( 1
        expr
        expr 00
        expr -1 '<' 1
        expr foo/bar : '.*/\(.*\)'
        expr '' : '.*'
        expr 5 : '[0-9]*$'
        expr 3.5 '>' 3.10
        seq 5
        seq 2 5
        seq 1 2 9
        seq 5 -1 1
        seq 5 1
        seq -s, 5
        seq -w 8 11
        seq 0.5 0.5 2
        seq 1 .5 2
        seq -2 2
        seq -f %03g 3
        seq -f 'x%gy' 2
        seq 1 0 5
        seq a
        seq
        test a = a
        test a = b
        test -n ''
        test -z ''
        test 1 -lt 2
        test 1 -eq 01
        test a -eq 1
        test -f a
        test -f nope
        test -d d
        test -h l
        test -L a
        test -e l
        test -x d/x
        test -x a
        test -s a
        test -s e
        test -r a
        test a -ef l
        test a -ef b
        test a -nt nope
        test ! -f a
        test -f a -a -d d
        test -f a -o -d a
        test -f nope -o -d d -a -f a
        test ( -f a )
        test ! a = b
        test
        test a
        test -f
        test a b
        test = = =
        test -f a b
        [ a = a ]
        [ a = a
        [ -n x ]
        [ ]
        true
        false x"#,
    );
}

#[test]
fn others_do_as_their_programs() {
    check_rows(
        &fixture(),
        r#"date -u -d @0
        date -u -d @1700000000 +%Y-%m-%dT%H:%M:%SZ
        date -u -d @1700000000 '+%a %A %b %B %c %C %d %D %e %F %g %G %H %I %j %k %l %m %M %n %p %P %r %R %s %S %t %T %u %U %V %w %W %x %X %y %Y %z %Z %%'
        date -u -d @1704067199 '+%G-%V %U %W %j'
        date -u -d @1609459200 '+%G-%V %U %W %j'
        date -u -d @951782400 +%F
        date -u -d '2024-02-29 12:34:56' +%s
        date -u -d '2024-02-29' +%s
        date -u -d '2024-02-29T01:02:03Z' +%s
        date -u -d '2024-02-29 01:02:03 UTC' +%s
        date -u -R -d @1700000000
        date -u -Iseconds -d @1700000000
        date -u -I -d @1700000000
        date -u --rfc-3339=seconds -d @1700000000
        date -u -d @5 '+%-d %_d %03d %^a %-H'
        date -u -r a
        env -i A=1 B=2
        env true
        env A=1 false
        nice true
        nohup true
        timeout 5 false
        timeout 5s true
        stdbuf -oL cat a
        sleep 0
        sleep x
        run-parts --test d
        run-parts --list d
        run-parts --test --regex=^y d
        run-parts --test nope
        gzip -c e -n
        zcat nope
        gunzip a
        gzip d
        which nope
        which
        whoami
        id -u
        id -g
        id -un
        id -u root
        id -u daemon
        id -gn daemon
        id -u nosuchuser
        uname
        uname -s
        uname -o
        tty < a
        tty -s < a
        mountpoint -q d
        mountpoint d
        mountpoint nope
        dd if=a of=n status=none
        dd if=a bs=1 count=3 status=none
        dd if=a bs=4 skip=1 count=1 status=none
        dd if=/dev/zero of=n bs=1K count=2 status=none
        dd if=nope of=n status=none
        dd of=n status=none < a
        logname
        pathchk a
        getconf NAME_MAX d2"#,
    );
}

#[test]
fn what_gzip_packs_the_real_one_unpacks() {
    use crate::contents::{Contents, InlineOnly};
    use crate::rootfs::Content;
    use hah_format::tree::Kind;

    let files = files(&[("a@640", "one\ntwo\n")]);
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (finished, tree) = super::oracle::run_ours(&files, &words("gzip -9 a"), Vec::new());
    assert_eq!(finished.map(|finished| finished.status), Ok(0));
    let path = hah_format::path::TreePath::parse("work/a.gz").unwrap();
    let node = tree.get(&path).unwrap();
    assert_eq!(node.meta.mode, 0o640);
    let Kind::File(Content::Inline(packed)) = &node.kind else { panic!("no file") };
    let real = super::oracle::piped("gzip", &["-dc"], packed);
    assert_eq!(real.as_deref(), super::oracle::has("gzip").then_some(b"one\ntwo\n".as_slice()));
    // And the other way.
    if let Some(packed) = super::oracle::piped("gzip", &["-c"], b"three\n") {
        let mut files = files;
        files.insert("b.gz".to_owned(), super::oracle::File::Text(0o644, packed));
        let (finished, _) = super::oracle::run_ours(&files, &words("zcat b.gz"), Vec::new());
        assert_eq!(finished.unwrap().stdout, b"three\n");
        let (_, tree) = super::oracle::run_ours(&files, &words("gunzip b.gz"), Vec::new());
        let b = tree.get(&hah_format::path::TreePath::parse("work/b").unwrap()).unwrap();
        let Kind::File(content) = &b.kind else { panic!("no file") };
        assert_eq!(InlineOnly.bytes(content).unwrap(), b"three\n");
    }
}
