mod sandbox;
mod corpus;
mod random;

use super::*;
use crate::merge::Provenance;
use crate::rootfs::Root;
use crate::scripts::closure::Kept;
use hah_format::tree::Node;

/// Runs a script on a small tree.
fn shell(text: &str) -> Result<Finished, Stopped> {
    let kept = Kept::default();
    let mut root = Root::new();
    for directory in ["dev", "tmp", "etc", "usr/bin"] {
        root.insert(TreePath::parse(directory).unwrap(), Node::dir(0o755)).unwrap();
    }
    let mut world = World::new(root, Provenance::default(), &kept, 0);
    world.budget.steps = 100_000;
    let script = Script {
        name: "sh".to_owned(),
        args: Vec::new(),
        env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        cwd: TreePath::parse("tmp").unwrap(),
        stdin: Vec::new(),
    };
    run(&mut world, text, script, &NoPrograms)
}

fn prints(text: &str) -> String {
    let finished = shell(text).unwrap_or_else(|stopped| panic!("{text}: line {}: {}", stopped.line, stopped.what));
    String::from_utf8(finished.stdout).unwrap()
}

#[test]
fn scripts_print_what_they_print_in_dash() {
    for (script, expected) in [
        ("echo a b", "a b\n"),
        ("x='a  b'; echo $x; echo \"$x\"", "a b\na  b\n"),
        ("for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done", "1\n3\n"),
        ("f() { local x=1; echo $x $1; return 3; }; x=0; f a; echo $? $x", "1 a\n3 0\n"),
        ("set -- a 'b c' d; for i; do echo \"$i\"; done; echo $# $*", "a\nb c\nd\n3 a b c d\n"),
        ("set -- a 'b c'; printf '<%s>' \"$@\"; printf '<%s>' \"$*\"", "<a><b c><a b c>"),
        ("case abc in a*) echo yes;; *) echo no;; esac", "yes\n"),
        ("x=a.tar.gz; echo ${x%.*} ${x%%.*} ${x#*.} ${x##*.} ${#x}", "a.tar a tar.gz gz 8\n"),
        ("echo ${u:-d} ${u-d} ${u:=v} $u ${u:+w}", "d d v v w\n"),
        ("echo $((1+2*3)) $((7/2)) $((1<<4)) $((a=5)) $a", "7 3 16 5 5\n"),
        ("echo `echo a \\`echo b\\``", "a b\n"),
        ("echo $(echo \"$(echo 'x y')\")", "x y\n"),
        ("cat() { while read -r l; do echo \"[$l]\"; done; }; cat <<E\na $((1+1))\n\tb\nE\n", "[a 2]\n[b]\n"),
        ("cat() { while read -r l; do echo \"[$l]\"; done; }; cat <<-'E'\n\ta $x\n\tE\n", "[a $x]\n"),
        ("echo a >f; echo b >>f; while read x; do echo \"<$x>\"; done <f", "<a>\n<b>\n"),
        ("(exit 3); echo $?; { false; } || echo or", "3\nor\n"),
        ("set -e; if false; then :; fi; false || true; ! true; echo on; false; echo never", "on\n"),
        ("set -e; x=$(false); echo never", ""),
        ("trap 'echo bye' EXIT; echo hi; exit 4", "hi\nbye\n"),
        ("echo a b | { read x y; echo $y $x; }", "b a\n"),
        ("i=0; while [ $i -lt 3 ]; do i=$((i+1)); [ $i = 2 ] && break; done; echo $i", "2\n"),
        ("printf '%s %d %x %05.1s|%-4s|\\n' a 10 255 bcd e", "a 10 ff     b|e   |\n"),
        ("IFS=:; x=a::b; for i in $x; do echo \"<$i>\"; done", "<a>\n<>\n<b>\n"),
        ("while getopts ab:c o -a -b x -c y; do echo $o $OPTARG; done; echo $OPTIND", "a\nb x\nc\n5\n"),
        ("x=1; (x=2; echo $x); echo $x", "2\n1\n"),
        ("f() { return 1; }; if f; then echo a; else echo b; fi", "b\n"),
        ("[ -e f ] || echo none; : >f; [ -f f ] && [ ! -s f ] && echo empty", "none\nempty\n"),
        ("[ a = a -a ! b = c ] && echo yes; [ ! '(' x = y ')' ] && echo also", "yes\nalso\n"),
        ("echo \"a\\\"b\\$c\" 'd'\\''e'", "a\"b$c d'e\n"),
        (": >b; : >a; echo * [!a] 'x*' n*", "a b b x* n*\n"),
        ("eval 'x=5; echo $x'; echo $x", "5\n5\n"),
        ("exec 3>&1; echo a >&3; exec 3>&-; echo b", "a\nb\n"),
        ("x=${1#?:}; echo \"[$x]\"", "[]\n"),
        ("command -v echo; command -v nothing || echo no", "echo\nno\n"),
        ("nothing 2>/dev/null; echo $?", "127\n"),
        ("until [ \"$n\" = xx ]; do n=x$n; done; echo $n", "xx\n"),
        ("echo a; exit 0\n)) this is no shell ((", "a\n"),
        ("false; echo $?; true && false; echo $?", "1\n1\n"),
        ("x='*'; : >f; echo $x \"$x\"", "f *\n"),
        ("echo 'a\\tb\\0101\\c'; echo no", "a\tbAno\n"),
        ("echo ~root ~nobodyatall/x", "/root ~nobodyatall/x\n"),
        ("echo ~ ~/x \"~\"; HOME=/h; echo ~/x", "~ ~/x ~\n/h/x\n"),
        ("a=b c=d; echo $a$c; a=x true; echo $a", "bd\nb\n"),
        ("f() ( x=2; echo $x ); x=1; f; echo $x", "2\n1\n"),
        ("for i in a b; do case $i in (a) continue;; esac; echo $i; done", "b\n"),
        ("unset x; echo ${x+set} ${x-unset}", "unset\n"),
        ("set -u; x=; echo \"[$x]\"; echo ${y-ok}; echo $y; echo never", "[]\nok\n"),
        ("if ! grepless=$(false); then echo failed; fi", "failed\n"),
        ("umask; umask 077; umask; umask -S; umask u=rwx,go=rx; umask", "0022\n0077\nu=rwx,g=,o=\n0022\n"),
        ("cd /etc; pwd; cd ..; pwd; cd - ; echo $PWD $OLDPWD", "/etc\n/\n/etc\n/etc /\n"),
        ("readonly r=1; (r=2; echo no) 2>/dev/null; echo $? $r", "2 1\n"),
        ("echo ${x:-\"a b\"} ${x:-'c  d'}", "a b c  d\n"),
        ("x='a b'; echo \"${x:+\"$x\"}\" \"${y:-'q'}\"", "a b 'q'\n"),
        ("false | true; echo $?; true | false; echo $?", "0\n1\n"),
        ("echo $$ $$ | { read a b; [ $a = $b ] && echo same; }", "same\n"),
    ] {
        assert_eq!(prints(script), expected, "{script}");
    }
}

#[test]
fn what_bash_does_in_another_way_is_done_so_in_its_scripts() {
    for (script, expected) in [
        ("x=1; f() { local -r y=2; local x; echo \"[$x]\" $y; }; f; echo $x", "[] 2\n1\n"),
        ("f() { local -rx y=2; (y=3) 2>/dev/null; echo $? $y; }; f", "2 2\n"),
        ("declare -r z=1; echo $z; f() { declare a=2; echo $a; }; f; echo \"[$a]\"", "1\n2\n[]\n"),
        ("f() { return 300; }; f; echo $?", "44\n"),
        ("alias e=echo; e a 2>/dev/null; echo $?", "127\n"),
        ("x=ab; if [[ $x == a* && ! -e /none ]]; then echo y; fi; [[ $x = \"a*\" ]] || echo n", "y\nn\n"),
        ("x='a b'; y=; [[ -n $x ]] && [[ -z $y ]] && [[ ( 1+1 -eq 2 || $y ) && $x != b* ]] && echo \"y $?\"", "y 0\n"),
        ("set -e; [[ a ]]; if [[ a == b ]]; then :; fi; [[ -d /none ]]; echo no", ""),
        ("function f { echo \"f$1\"; }; function g() { f 2; }; f 1; g", "f1\nf2\n"),
        ("echo 'a\\nb'; echo -e 'a\\nb'; echo -ne 'c\\n'; echo -x; echo $UID", "a\\nb\na\nb\nc\n-x\n0\n"),
        ("i=1; [ -z ${x[$i]} ] && echo \"[${x[$(( $i - 1 ))]}]\"; x=a; echo \"${x[0]} ${x[1]} ${x[@]}\"", "[]\na  a\n"),
    ] {
        assert_eq!(prints(&format!("#!/bin/bash\n{script}")), expected, "{script}");
    }
    // What would make an array is not evaluated.
    for script in [
        "f() { local -A map; }; f",
        "x=(a b)",
        "x[1]=a || true",
        "x[1]+=a || true",
        "x+=a || true",
        "declare -a x || true",
        // What dash would read in another way.
        "((x++)) || true",
        "true &>/dev/null",
        "cat <<<a || true",
        "cat <(true) || true",
        "true |& cat",
        "echo a{b,c}",
        "echo {1..3}",
        "echo $'a\\n'",
        "shopt -s nullglob || true",
        "let x=1 || true",
        "[ -n \"$BASH_VERSION\" ] || true",
        "[[ a =~ b ]] || true",
        "[[ a < b ]] || true",
    ] {
        assert!(shell(&format!("#!/bin/bash\n{script}")).is_err(), "{script}");
    }
    // The same text in a script of sh is what it is to dash.
    assert_eq!(
        prints("echo a{b,c} {1..3} {} && ((echo b)); [[ a ]] 2>/dev/null || echo $?"),
        "a{b,c} {1..3} {}\nb\n127\n"
    );
}

#[test]
fn what_cannot_be_evaluated_has_its_line() {
    for (script, line, what) in [
        ("echo a\nif true; then\n", 3, "a syntax error: the script ends too early"),
        ("echo 'a\n", 1, "a syntax error: a `'` that is not closed"),
        ("#!/bin/bash\necho ${x/a/b}", 2, "`${x/a/b}`, which is not POSIX's"),
        ("exec 3>f\nrm f\necho a >&3", 3, "/tmp/f was removed or renamed while it was open for writing"),
        ("x=é\nx=${x#?}", 2, "a part of a character"),
        ("while :; do :; done", 1, "the scripts of this image do more than they may (an endless loop?)"),
        ("f() { f; }; f", 1, "more than 60 functions, subshells and scripts in one another"),
    ] {
        let stopped = shell(script).unwrap_err();
        assert_eq!((stopped.line, stopped.what.as_str()), (line, what), "{script}");
    }
}

#[test]
fn deep_nesting_is_refused_and_not_a_crash() {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        for text in [
            "(".repeat(5000),
            "$(".repeat(5000),
            "\"${x:-".repeat(5000),
            format!("echo $(({}", "(".repeat(5000)),
            "if ".repeat(5000),
            "{ ".repeat(5000),
            "`\\`".repeat(3000),
            format!("[ {} a ]", "! ".repeat(3000)),
            "f() { (f) }; f".to_owned(),
            (0..40).map(|n| format!("alias a{n}='a{} a{} '\n", n + 1, n + 1)).chain(["a0\n".to_owned()]).collect(),
            "eval() { :; }; x='eval \"$x\"'; eval \"$x\"".to_owned(),
        ] {
            let _ = shell(&text);
        }
    });
    thread.unwrap().join().unwrap();
}
