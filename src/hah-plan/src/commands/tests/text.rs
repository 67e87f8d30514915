use super::oracle::{Files, check_rows, files};

fn fixture() -> Files {
    files(&[
        ("f", "one two three\nfour five\n\n\nsix\tseven\nend"),
        ("g", "b 10\na 9\nc 1\na 2\nb 10\n"),
        ("n", "10\n9\n-3\n1.5\n0\n09\nx\n2K\n1M\n"),
        ("v", "1.10\n1.9\n1.2~rc1\n1.2\n1.2.tar.gz\na10\na9\n.x\n"),
        ("p", "root:x:0:0\ndaemon:x:1:1\nnocolon\nbin:x:2:2\n"),
        ("t", "a\tb\tc\n1\t2\t3\n"),
        ("u", "a\na\nb\nB\nb\nc\nc\nc\n"),
        ("w", "h\u{e9}llo w\u{f6}rld\n"),
        ("z", "x\0y\0z\0"),
        ("empty", ""),
        ("m", "feb\njan\ndec\nzzz\n"),
        ("l", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n"),
        ("s", "abcdefghij klmnop qrstuvwxyz\nshort\n"),
    ])
}

#[test]
fn whole_texts_are_as_in_coreutils() {
    check_rows(
        &fixture(),
        r#"cat f g
        cat nope f
        cat < f
        cat - g < f
        cat -n f
        cat -b f
        cat -s f
        cat -A f
        cat -E f g
        cat -v w
        cat -T t
        tac f
        tac g
        tac < l
        rev w
        rev f
        nl f
        nl -ba f
        nl -w3 -s: f
        nl -nrz -v5 -i2 l
        nl -nln l
        wc f
        wc -l f
        wc -w f
        wc -c f
        wc -m w
        wc -L w
        wc -l f g
        wc f g empty
        wc < f
        wc -l < f
        wc -lw f
        wc nope
        tee n1 n2 < f
        tee -a g < f
        tee nope/x < f
        echo a b
        /bin/echo a b
        /bin/echo -n a
        /bin/echo -e 'a\tb\x41\0101\\'
        /bin/echo -e 'a\cb'
        /bin/echo -E 'a\tb'
        /bin/echo -x
        /bin/echo -ne 'a\tb'
        head f
        head -n 2 f
        head -2 f
        head -n -2 f
        head -n0 f
        head -c 5 f
        head -c -5 f
        head -1 f g
        head -qn1 f g
        head -vn1 f
        head -n 1 nope
        head -n x f
        head -z -n1 z
        head -5 < l
        tail l
        tail -n 3 l
        tail -3 l
        tail -n +3 l
        tail +3 l
        tail -c 4 l
        tail -c +4 l
        tail -n1 f g
        tail -n 1 < f
        tail -n 0 l
        tail -1 f
        tail -n 1 nope"#,
    );
}

#[test]
fn columns_are_as_in_coreutils() {
    check_rows(
        &fixture(),
        r#"cut -d: -f1 p
        cut -d: -f1,3 p
        cut -d : -f 2- p
        cut -d: -f-2 p
        cut -d: -f3,1 p
        cut -sd: -f1 p
        cut -f2 t
        cut -c1-3 f
        cut -c2 f
        cut -b 1,3 f
        cut -c-2,5- f
        cut -d' ' -f2 f
        cut --output-delimiter=/ -d: -f1,3 p
        cut --complement -d: -f2 p
        cut -c1-3 --complement f
        cut -c1,3-5 --output-delimiter=. f
        cut -d: p
        cut -f0 p
        cut -f2-1 p
        cut -d: -f1 < p
        cut -d ab -f1 p
        cut -zf1 z
        paste g l
        paste -d: g l t
        paste -s g
        paste -sd, g
        paste -d '' g l
        paste - - < l
        paste -d ',;' g l u
        paste -sd '␤,' l
        tr a-z A-Z < f
        tr '[:lower:]' '[:upper:]' < f
        tr -d '\n' < f
        tr -d '[:space:]' < f
        tr -s ' \n' < f
        tr -s '\n' < f
        tr ' ' '␤' < f
        tr -cd 'a-z' < f
        tr -c 'a-z' '_' < f
        tr -sc '[:alnum:]' '-' < f
        tr abc xy < f
        tr -t eo x < f
        tr -ds e o < f
        tr -dc '[:digit:]' < l
        tr '\012' , < l
        tr 'a-c-' 'x' < f
        tr '[a-z]' '[A-Z]' < f
        tr '[=e=]' x < f
        tr 'a-z' '[x*]' < f
        tr '\000' '\n' < z
        tr a < f
        tr
        tr -d a b < f
        tr -d < f
        tr z-a x < f
        fold -w 10 s
        fold -sw 12 s
        fold -10 s
        fold -bw 7 s
        expand t
        expand -t4 t
        expand -i t
        unexpand --first-only s"#,
    );
}

#[test]
fn order_is_as_in_sort_and_uniq() {
    check_rows(
        &fixture(),
        r#"sort g
        sort -r g
        sort -u g
        sort -n n
        sort -rn n
        sort -h n
        sort -k2 g
        sort -k2n g
        sort -k2,2n -k1,1r g
        sort -k1,1 g
        sort -k1,1 -s g
        sort -k1,1 -u g
        sort -t: -k3 p
        sort -t: -k3,3nr p
        sort -t : -k 2.1,2.1 p
        sort -V v
        sort -rV v
        sort -f u
        sort -fu u
        sort -c g
        sort -c u
        sort -C g
        sort -c l
        sort -cn l
        sort -o out g
        sort -o g g
        sort -m u g
        sort -M m
        sort -z z
        sort -b f
        sort -d v
        sort -i v
        sort -k 1.2b f
        sort f g
        sort nope
        sort < g
        sort -un n
        sort -k x g
        sort -t '' g
        sort -t ab g
        sort -nk2 -t ' ' g
        sort --numeric-sort --reverse l
        sort --key=2 --unique g
        sort -bk2 g
        sort -sk2,2 g
        uniq u
        uniq -c u
        uniq -d u
        uniq -u u
        uniq -i u
        uniq -D u
        uniq -ic u
        uniq -f1 g
        uniq -s1 u
        uniq -w1 g
        uniq u out
        uniq < u
        uniq nope
        uniq -cd u"#,
    );
}
