use super::oracle::{Files, check_rows, files};

fn fixture() -> Files {
    files(&[
        (
            "f",
            "root:x:0:0:root:/root:/bin/bash\n# comment\n\nfoo=bar\nFOO = baz\nfoobar foo-bar\na.b*c[d]\nabab\nx\\y\nlast",
        ),
        ("g", "foo\nbar\n  foo\n"),
        ("pats", "foo\nbar\n"),
        ("w", "h\u{e9}llo\n\u{e9}\nplain\n"),
        ("z", "a\nb\0c\0"),
        ("bin", "text\nab\0cd foo\n"),
        ("d/", ""),
        ("d/a.conf", "foo 1\n"),
        ("d/b.txt", "foo 2\nbar\n"),
        ("d/sub/", ""),
        ("d/sub/c.conf", "no\nfoo 3\n"),
        ("l", "-> g"),
        ("empty", ""),
        ("ctx", "1\n2\nm\n4\n5\n6\nm\nm\n9\n10\n11\n12\nm\n"),
    ])
}

#[test]
fn lines_are_selected_as_in_grep() {
    check_rows(
        &fixture(),
        r#"grep foo f
        grep -q foo f
        grep -q nope f
        grep -v foo f
        grep -i FOO f
        grep -c foo f
        grep -vc foo f
        grep -n foo f
        grep -l foo f g w
        grep -L foo f g w
        grep -o foo f
        grep -on 'fo*' f
        grep -w foo f
        grep -wo foo f
        grep -x foo g
        grep -xF foo g
        grep -F 'a.b*c[d]' f
        grep -F . f
        grep -F '' f
        grep -F 'x\y' f
        fgrep '[d]' f
        egrep 'foo|bar' f
        grep -E '^(foo|FOO) ?=' f
        grep -e foo -e root f
        grep -f pats f
        grep -Ff pats f
        grep -f empty f
        grep -vf empty f
        grep -h foo f g
        grep -H foo g
        grep foo f g
        grep foo f nope
        grep -s foo f nope
        grep -qs foo nope f
        grep foo nope
        grep foo d
        grep -r foo d | sort
        grep -rl foo d | sort
        grep -rh foo d | sort
        grep -rn --include=*.conf foo d | sort
        grep -r --exclude=*.conf foo d | sort
        grep -r --exclude-dir=sub foo d | sort
        grep -rc foo d | sort
        grep -m1 foo f
        grep -m 1 -c foo f
        grep -A1 m ctx
        grep -B1 m ctx
        grep -C1 m ctx
        grep -1 m ctx
        grep -nA1 m ctx
        grep -A2 -B1 m ctx g
        grep -A1 -m1 m ctx
        grep -z b z
        grep -zc . z
        grep foo bin
        grep -a foo bin
        grep -c foo bin
        grep -q foo bin
        grep text bin
        grep -lZ foo f g
        grep '^$' f
        grep -c '' f
        grep '' empty
        grep . w
        grep '^.$' w
        grep -i É w
        grep '[[:alpha:]]llo' w
        grep '\bfoo\b' f
        grep '\<foo' f
        grep 'foo\>' f
        grep -E 'foo\B' f
        grep '\w\+=' f
        grep -E '\s' g
        grep -E '^\S+$' g
        grep '\(ab\)\1' f
        grep -E '(ab)\1' f
        grep -E '(.)(.)\1\2' f
        grep 'fo\{2\}' f
        grep -E 'fo{2,}' f
        grep -E 'fo{,2}' f
        grep 'foo\|root' f
        grep 'fo\?o' f
        grep -E '[^:]+:[^:]*:0' f
        grep '^[[:space:]]*#' f
        grep -v '^[[:space:]]*#' f
        grep -Ev '^(#|$)' f
        grep '[]d]' f
        grep '[^]a-z]' f
        grep '*c' f
        grep '^*' f
        grep 'a\.b' f
        grep -E 'a{1' f
        grep -E '{' f
        grep -E 'a|' f
        grep -E '()' f
        grep '\(foo' f
        grep -E '(foo' f
        grep '[a' f
        grep 'a\{1' f
        grep -E ')' f
        grep '\)' f
        grep '[[:foo:]]' f
        grep '[b-a]' f
        grep 'a\{2,1\}' f
        grep '\(^foo\)' f
        grep 'a$b' f
        grep 'x^' f
        grep -E '^^foo' f
        grep -E 'foo$$' f
        grep -e -x f
        grep -- -bar f
        grep -io 'foo.ba.' f
        grep -E 'foo|foobar' f
        grep -oE 'foo|foobar' f
        grep -oE 'foobar|foo' f
        grep -oE '(a|ab)(c|bcd)?' f
        grep -ow 'foo\|foobar' f
        grep -wE 'foo|ba' f
        grep -v '' f
        grep -ic 'FOO' f g
        grep -nv foo g
        grep --count foo f
        grep --regexp=foo g
        grep --color=auto foo g
        grep -q foo < g
        grep -n foo - < g
        grep -H foo < g
        grep --label=in -H foo < g
        grep -E '^[a-z_][a-z0-9_-]*:[^:]*:0:' f"#,
    );
}
