use super::oracle::{Files, check_rows, files};

fn fixture() -> Files {
    files(&[
        ("f", "one\ntwo foo\nthree=bar\n# x\n\nsix foo foo\nlast"),
        ("g", "a b\nc d\n"),
        ("conf@640", "#Port 22\nUser=www-data\nkey = value # note\npath /usr/local/bin\n"),
        ("n", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"),
        ("s", "s/one/1/\n# comment\n/foo/ {\n  s//bar/g\n  p\n}\n$ d\n"),
        ("q", "#n\n/foo/p\n"),
        ("w", "h\u{e9}llo w\u{f6}rld\n"),
        ("k", "begin\nx\nend\ny\nbegin\nz\n"),
        ("z", "a\0b\0"),
        ("empty", ""),
        ("l", "-> g"),
    ])
}

#[test]
fn scripts_do_as_in_sed() {
    check_rows(
        &fixture(),
        r#"sed '' f
        sed p f
        sed -n p f
        sed d f
        sed -n '$p' f
        sed -n '$=' f
        sed 3q f
        sed 3Q f
        sed '3q5' f
        sed -n 2,4p n
        sed -n '2,4!p' n
        sed -n '0~3p' n
        sed -n '2~3p' n
        sed -n '2,+2p' n
        sed -n '2,~4p' n
        sed -n '5,2p' n
        sed -n '/3/,/5/p' n
        sed -n '/3/,5p' n
        sed -n '/6/,5p' n
        sed '0,/foo/d' f
        sed '1,/one/d' f
        sed '0,/one/d' f
        sed '/begin/,/end/d' k
        sed '/begin/,/end/s/^/> /' k
        sed '/begin/,/end/{/begin/b;/end/b;d}' k
        sed '1!G;h;$!d' n
        sed -n '1!G;h;$p' n
        sed '$!N;s/\n/ /' n
        sed 'N;P;D' n
        sed '$!N;$!D' n
        sed ':a;N;$!ba;s/\n/,/g' n
        sed -e ':a' -e 'N' -e '$!ba' -e 's/\n/,/g' n
        sed -n 'H;${x;s/\n/,/g;s/^,//;p}' n
        sed n\;d n
        sed '$!{h;d};x;G' g
        sed 's/foo/bar/' f
        sed 's/foo/bar/g' f
        sed 's/foo/bar/2' f
        sed 's/o/0/2g' f
        sed -n 's/foo/bar/p' f
        sed 's/FOO/x/I' f
        sed 's/FOO/x/gi' f
        sed 's,/usr/local,/opt,' conf
        sed 's|a|b\|c|' g
        sed 's/[/]/x/g' conf
        sed 's/.*/"&"/' g
        sed 's/a/\&/' g
        sed 's/\(.\) \(.\)/\2 \1/' g
        sed -E 's/(.) (.)/\2 \1/' g
        sed -r 's/^#?(Port) .*/\1 2222/' conf
        sed -E 's/^[[:space:]]*#.*$//;/^$/d' conf
        sed 's/[[:space:]]*#.*//' conf
        sed -e 's/^#Port .*/Port 22/' -e '/^User=/s/=.*/=root/' conf
        sed 's/ /\n/g' g
        sed 's/ /\t/' g
        sed 's/a/x␤y/' g
        sed 's/a/x\␤y/' g
        sed 's/\(.*\)/\U\1/' g
        sed 's/\w\+/\u&/g' g
        sed 's/.*/\U&\E-&/' g
        sed 's/\(.\)\(.*\)/\u\1\L\2/' g
        sed 's/b*/x/g' g
        sed 's/x*/-/g' g
        sed 's/$/;/' g
        sed 's/^/  /' g
        sed 's/\bfoo\b/X/' f
        sed 's/o\{1,\}/0/g' f
        sed 's/one\|two/X/' f
        sed 's/fo\+/X/' f
        sed -E 's/fo{2}/X/' f
        sed 's/\(fo\)o/\1/3' f
        sed '/foo/!s/e/E/' f
        sed '/^#/d;/^$/d' f
        sed '\,foo,d' f
        sed '\%usr%s%/%:%g' conf
        sed 's/foo/bar/w out' f
        sed -n '/foo/w out' f
        sed -n 'w /dev/stdout' g
        sed 'r g' f
        sed '/two/r g' f
        sed '$r g' f
        sed 'r nope' f
        sed 'R n' f
        sed '1a hello' g
        sed '1i hello' g
        sed '1c hello' g
        sed '$a end' f
        sed '$ a\␤end␤' f
        sed 'a\  lead' g
        sed '1a\␤x\␤y' g
        sed '1i\␤  x' g
        sed '/a/i\x' g
        sed 'a hello\tx' g
        sed '2,3c gone' n
        sed '2,3!c gone' n
        sed '$!c x' g
        sed '/a/{a one␤i two␤}' g
        sed -e '1{a x' -e '}' g
        sed 'y/abc/xyz/' g
        sed 'y,/,:,' conf
        sed 'y/é/e/' w
        sed 's/é/e/;s/./x/5' w
        sed 's/\(ll\).*/\U\1é/' w
        sed -n l f
        sed -n l w
        sed = g
        sed -n F g
        sed -s -n '$p' f g
        sed -n '$p' f g
        sed -n 1p f g
        sed -s 1d f g
        sed p f g
        sed z g
        sed 'x;p;x' g
        sed -n 'x;p' g
        sed 't;s/a/b/' g
        sed ':x;s/o/0/;tx' f
        sed ':x s/o/0/' f
        sed 's/a/b/;Tend;s/b/c/;:end' g
        sed -n '/foo/{p;q}' f
        sed '/foo/{s//X/;}' f
        sed '/foo/ { s/foo/X/ ; s/two/2/ }' f
        sed -n '/two/{n;p}' f
        sed '{p}' g
        sed '{p;}' g
        sed '{;p;}' g
        sed 'p;;p' g
        sed '2{' g
        sed '}' g
        sed 's/a/b' g
        sed 's/a/b/x' g
        sed 'k' g
        sed 's/\(/x/' g
        sed 's/a/\1/' g
        sed 'b nope' g
        sed '' nope
        sed p nope g
        sed -n p < g
        sed p - < g
        sed -f s f
        sed -nf s f
        sed -f q f
        sed '#n␤p' f
        sed --quiet --expression=p g
        sed -z 's/a/x/' z
        sed -i 's/a/x/' g
        sed -i.bak 's/a/x/' g
        sed -i 's/Port/P/' conf
        sed -i.orig 's/Port/P/' conf
        sed -i 1d f g
        sed -i '$a new' g f
        sed -ibk_* p g
        sed -i s/a/b/ l
        sed --follow-symlinks -i s/a/b/ l
        sed -i s/a/b/ nope
        sed -i /nope/d g
        sed -i -e 1q n
        sed -i 2Q n
        sed -n -i p g
        sed -ni /a/p g
        sed --in-place=.x s/a/b/ g
        sed -Ei 's/(a)/\1\1/' g
        sed -e 'i\' -e 'x' g
        sed 's/a/b/ ; s/c/d/ # comment' g
        sed '/a/ s/a/b/' g
        sed '/one/,$ d' f
        sed '2 , 3 d' n
        sed '$!d' n
        sed '/x/I,+1d' f
        sed -e 's@\(.*\)=\(.*\)@\2=\1@' f
        sed 's/\./x/' conf
        sed 's#\##X#' conf
        sed 's/[^ ]* *//' g
        sed 's/\s\+$//' f
        sed -E 's/(a|ab)(c|bcd)?/[\1]/' g
        sed 's/\n//' f
        sed 'N;N;s/^.*$/X/M' n
        sed 'N;N;s/^./X/Mg' n
        sed 'N;s/\`./X/Mg' n
        sed 's/[\n]/x/;s/[\/]/y/' conf
        sed 's/[.]/\\./g' conf
        sed "s/'/q/" f
        sed -n '/a/,/a/p' g
        sed 's/a//;s/^ //' g
        sed '1~2d' n
        sed 2d n < g
        sed s/a/b/ empty
        sed '$d' empty
        sed -n '2{p;q}' n
        sed -n '/3/{=;p}' n
        sed '/2/b;s/$/x/' n
        sed 's/a/b/;ta;s/c/X/;:a' g
        sed -n 's/a/x/;N;t e;s/$/ no/;:e;p' g
        sed 'D' g
        sed 'G' g
        sed 'G;G' g
        sed 'H;x' g
        sed '1~0p' g
        sed 'w out' f
        sed -n '1w out1␤2w out2' g
        sed '1r f␤2d' g
        sed 'N;l' g
        sed '1s/.*/\x41\o102\d067/' g
        sed 's/\x61/X/' g
        sed 's/.../&/5' f
        sed 'c\' g
        sed '1d;n;d' n
        sed '5!N;d' n
        sed '$N;p' n
        sed 's/[0-9]\+/(&)/' n
        sed -E 's/(^|[^0-9])1([^0-9]|$)/\1x\2/' n
        sed -E 's/()/x/' g
        sed -E 's/(b|)/x/g' g
        sed -E 's/a|b|//g' g
        sed -E 's/(a*)*/x/' g
        sed -E 's/(a*)+/x\1/' g
        sed 's/\(a\|b\)*/[\1]/' g
        sed -n '/^$/!p' f
        sed 'sxaxbx' g
        sed 's a b ' g
        sed '/foo/,+1{/six/d}' f
        sed --expression='s/a/b/' -- g
        sed s/a/b/g\;s/c/d/ g
        sed -n '4,${p}' n
        sed '2,/2/d' n
        sed '2,4{3!d}' n
        sed '2q;s/1/x/' n"#,
    );
}
