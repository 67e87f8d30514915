//! Random scripts: ours does with each what dash does.
//!
//! What two processes of a pipeline do at the same time has no one answer, so that a pipeline's first command only prints
//! and the others read all of it. Loops are bounded by counters that nothing else touches, and functions call only
//! functions that were made before them.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::sandbox;

/// Scripts of the usual run, and those with `HAH_TEST_FULL`, where they are others every time.
const CASES: (u32, u32) = (300, 5000);

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    proptest::sample::select(words).prop_map(str::to_owned).boxed()
}

/// A word without commands in it.
fn word() -> BoxedStrategy<String> {
    prop_oneof![
        4 => one_of(&["a", "b", "ab", "x=1", "-n", "0", "1", "2", "--", "a:b", "\\*", "\\a", "''", "\"\"", "'a  b'", "\"a  b\""]),
        6 => one_of(&[
            "$v", "\"$v\"", "$w", "\"$w\"", "$u", "\"$u\"", "$x", "\"$x\"", "$y", "\"$y\"", "$?", "$#", "$1", "\"$2\"", "$@",
            "\"$@\"", "$*", "\"$*\"", "a\"$@\"b", "x$@y", "$v$x", "\"$v\"$x", "a$v\"b $x\"",
        ]),
        4 => one_of(&[
            "${v:-a}", "${u:-a b}", "\"${u:-a  b}\"", "${u-\"a  b\" c}", "${w:-$v}", "${w-d}", "${w:+e}", "${v:+\"$x\" f}",
            "${u:=set}", "\"${x:=a b}\"", "${u?gone}", "${v#a}", "${v%b}", "${x##*a}", "${x%%[ab]*}", "\"${v#\"a \"}\"", "${#v}",
            "${#}", "${x%$y}", "\"${x%\"$y\"}\"", "${@:-none}", "\"${@+s}\"", "${v#*' '}", "\"${u:-'q'}\"", "${u:-'q  r'}", "${u:-~}",
        ]),
        2 => one_of(&["g*", "[gh]", "'g*'", "g\\*", "\"g\"?", "[!a-f]", "h*", "~", "~/a", "a:~", "$p", "\"$p\"", "$p$v"]),
        2 => one_of(&["$((1+2))", "$((n+1))", "$((u))", "\"$((2*3))\"", "$((n=n+2))", "$((1<2?3:4))", "$((7/2%3))", "$((0x1f))"]),
    ]
    .boxed()
}

fn words() -> BoxedStrategy<String> {
    proptest::collection::vec(word(), 0..4).prop_map(|words| words.join(" ")).boxed()
}

/// A word or an expression that a condition tests.
fn test() -> BoxedStrategy<String> {
    (word(), word(), one_of(&["=", "!=", "-eq", "-lt"]))
        .prop_flat_map(|(left, right, operator)| {
            let all = [
                format!("[ \"{}\" ]", left.replace(['"', '\'', '\\'], "")),
                format!("[ {left} {operator} {right} ]"),
                format!("[ -n {left} ]"),
                format!("[ -z {left} -o {right} = a ]"),
                format!("test {left}"),
                "[ -e g1 ]".to_owned(),
            ];
            proptest::sample::select(all.to_vec())
        })
        .boxed()
}

/// A simple command, without commands in it.
fn simple() -> BoxedStrategy<String> {
    prop_oneof![
        6 => words().prop_map(|words| format!("echo {words}")),
        6 => words().prop_map(|words| format!("printf '[%s]' {words}; echo")),
        4 => (one_of(&["v", "w", "u", "x", "y", "p"]), word()).prop_map(|(name, word)| format!("{name}={word}")),
        3 => test(),
        2 => words().prop_map(|words| format!("set -- {words}")),
        4 => one_of(&["true", "false", ":", "(exit 3)", "return 4", "exit 5", "break", "continue", "break 2", "shift", "nosuch"]),
        2 => one_of(&[
            "unset x", "unset u v", "export x", "IFS=:", "IFS=' :'", "IFS=", "unset IFS", "set -e", "set +e", "set -f", "set +f",
            "read x y", "read -r x <g1", "cat g1", "echo out >&2", "command echo c", "eval", "wait", "trap 'echo t $?' EXIT", "trap - EXIT",
            "set -u", "x=1 y=$x", "x=2 :", "x=3 true", "x=4 eval 'echo $x'", "cd ../box", "pwd | sed 's/.*box//'", "umask", "getopts ab: o",
            "getopts a:b o -b -a", "exec 3>&1", "echo three >&3", "readonly r=1", "r=2", "local x", "local y=$x", "echo \"$o $OPTARG $OPTIND\"",
        ]),
    ]
    .boxed()
}

fn quoted(command: &str) -> String {
    format!("'{}'", command.replace('\'', "'\\''"))
}

/// A command. `name` tells the counters of one place from those of others.
fn command() -> BoxedStrategy<String> {
    simple()
        .prop_recursive(4, 24, 3, |inner| {
            let two = (inner.clone(), inner.clone());
            prop_oneof![
                4 => two.clone().prop_map(|(a, b)| format!("{a}\n{b}")),
                2 => two.clone().prop_map(|(a, b)| format!("{{ {a}\n}} && {{ {b}\n}}")),
                2 => two.clone().prop_map(|(a, b)| format!("{{ {a}\n}} || {{ {b}\n}}")),
                1 => inner.clone().prop_map(|a| format!("! {{ {a}\n}}")),
                2 => inner.clone().prop_map(|a| format!("( {a}\n)")),
                2 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("if {a}\nthen {b}\nelse {c}\nfi")),
                1 => two.clone().prop_map(|(a, b)| format!("if {a}\nthen {b}\nfi")),
                2 => (words(), inner.clone()).prop_map(|(words, a)| format!("for x in {words}; do {a}\ndone")),
                1 => inner.clone().prop_map(|a| format!("for y\ndo {a}\ndone")),
                2 => (0u16.., inner.clone()).prop_map(|(name, a)| format!(
                    "i{name}=0; while [ $i{name} -lt 2 ]; do i{name}=$((i{name}+1)); {a}\ndone"
                )),
                1 => (0u16.., two.clone()).prop_map(|(name, (a, b))| format!(
                    "i{name}=0; until {a}\n[ $i{name} -ge 1 ]; do i{name}=$((i{name}+1)); {b}\ndone"
                )),
                2 => (word(), word(), word(), two.clone()).prop_map(|(word, one, other, (a, b))| format!(
                    "case {word} in\n{one}) {a}\n;;\n(a*|{other}) {b}\n;;\nesac"
                )),
                2 => inner.clone().prop_map(|a| format!("x=$( {a}\n)")),
                2 => inner.clone().prop_map(|a| format!("printf '<%s>' $( {a}\n) \"$( {a}\n)\"")),
                1 => inner.clone().prop_map(|a| format!("echo \"${{u:-$( {a}\n)}}\"")),
                2 => inner.clone().prop_map(|a| format!("eval {}", quoted(&a))),
                1 => inner.clone().prop_map(|a| format!("sh -c {} z 1 '2 3'", quoted(&a))),
                1 => (words(), inner.clone()).prop_map(|(words, a)| format!("echo {words} | while read x y; do {a}\ndone")),
                1 => (words(), inner.clone()).prop_map(|(words, a)| format!("printf '%s\\n' {words} | {{ read x; {a}\ncat\n}}")),
                1 => words().prop_map(|words| format!("echo {words} | cat | sed s/a/A/")),
                2 => (word(), inner.clone()).prop_map(|(word, a)| format!("{{ cat <<E\n{word} \\$v \"q\" $( {a}\n) \\\\ `echo b`\nE\n}}")),
                1 => inner.clone().prop_map(|a| format!("{{ {a}\n}} >f1")),
                1 => inner.clone().prop_map(|a| format!("{{ {a}\n}} >>f2")),
                1 => inner.clone().prop_map(|a| format!("{{ {a}\n}} <g1")),
                1 => inner.clone().prop_map(|a| format!("{{ {a}\n}} 2>/dev/null")),
                1 => inner.clone().prop_map(|a| format!("{{ {a}\n}} >nodir/f")),
                1 => inner.clone().prop_map(|a| format!("( {a}\n) & wait $!")),
                1 => inner.clone().prop_map(|a| format!("x=$v; {{ {a}\n}}; echo \"$x $?\"")),
            ]
        })
        .boxed()
}

/// A whole script.
fn script() -> BoxedStrategy<String> {
    let calls = prop_oneof![
        3 => command(),
        1 => words().prop_map(|words| format!("f0 {words}")),
        1 => words().prop_map(|words| format!("f1 {words} || echo failed $?")),
        1 => words().prop_map(|words| format!("x=$(f1 {words})")),
        1 => words().prop_map(|words| format!("if f0 {words}; then echo y; fi")),
    ];
    let options = one_of(&["", "", "", "set -e", "set -u", "set -eu", "trap 'echo \"bye $?\"' EXIT"]);
    (options, word(), command(), command(), proptest::collection::vec(calls, 1..5))
        .prop_map(|(options, local, first, second, calls)| {
            format!(
                "printf 'l1 a\\nl:2\\n' >g1; : >g2; : >h\nv='a b'; w=; x=ba; y=a; p='g*'; n=3\n{options}\n\
                 f0() {{\nlocal v w={local}\n{first}\n}}\nf1() {{\n{second}\nf0 \"$@\"\n}}\n{}\necho \"$? $x $v\"\n",
                calls.join("\n")
            )
        })
        .boxed()
}

#[test]
fn random_scripts_do_what_they_do_in_dash() {
    if sandbox::dash_is_missing() {
        return;
    }
    let full = std::env::var_os("HAH_TEST_FULL").is_some();
    let config = Config {
        cases: if full { CASES.1 } else { CASES.0 },
        max_shrink_iters: 500,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = match full {
        true => TestRunner::new(config),
        false => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let done = runner.run(&script(), |script| match sandbox::difference("random", &script) {
        None => Ok(()),
        Some(found) => Err(TestCaseError::fail(found)),
    });
    match done {
        Ok(()) => {}
        Err(TestError::Fail(found, script)) => panic!("{script}\n{found}"),
        Err(other) => panic!("{other}"),
    }
}
