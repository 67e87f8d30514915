use super::oracle::{Files, check_rows, files};

fn fixture() -> Files {
    files(&[
        (
            "p",
            "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nbin:x:2:2:bin:/bin:/sbin/nologin\n",
        ),
        ("n", "1 10\n2 20\n3 30\n"),
        ("w", "  the quick  brown\tfox\njumps\n\nover the lazy dog\n"),
        ("c", "a,b,c\nd,,f\n"),
        ("k", "x = 1\n# no\ny=2\n[sec]\nz = three words\n"),
        ("para", "a b\nc\n\n\nd e\nf\n"),
        ("prog", "BEGIN { FS = \":\" }\n# users\n$3 > 0 {\n  print $1\n}\nEND { print NR }\n"),
        ("empty", ""),
        ("last", "a\nb"),
    ])
}

#[test]
fn programs_do_as_in_mawk() {
    check_rows(
        &fixture(),
        r#"mawk '{print}' n
        mawk '{print $1}' n
        mawk '{print $2, $1}' n
        mawk '{print $2 $1}' n
        mawk -F: '{print $1}' p
        mawk -F : '$3 > 0 {print $1}' p
        mawk -F: '$3>0&&$3<2{print $1,$NF}' p
        mawk -F: '/root/{print NR": "$0}' p
        mawk -F: '!/root/' p
        mawk -F: '$1 == "bin"' p
        mawk -F: '$1 ~ /^d/' p
        mawk -F: '$1 !~ "^d" {print NF}' p
        mawk 'NR==2' n
        mawk 'NR==2,NR==3' n
        mawk '/2/,/3/{print "x" $0}' n
        mawk 'END{print NR}' n
        mawk 'END{print $0}' n
        mawk '{s += $2} END {print s, s/NR}' n
        mawk 'BEGIN{print 1/3, 10/2, 1e6, 1e20, 0.1+0.2, 1000000000}'
        mawk 'BEGIN{print 2^10, 7%3, -7%3, -2^2, 2^3^2}'
        mawk 'BEGIN{print 1==1.0, "a"<"b", "10"<"9", 10<9, "abc"<1}'
        mawk '{print ($1 < $2)}' n
        mawk '$1 == 2.0' n
        mawk 'BEGIN{x["a"]=1; x["b"]; print length(x); for (k in x) n++; print n; if ("a" in x) print "in"; delete x["a"]; print ("a" in x)}'
        mawk 'BEGIN{x[1,2]=3; for (k in x) {split(k, p, SUBSEP); print p[1] "-" p[2]}; if ((1,2) in x) print "yes"}'
        mawk '{a[NR]=$1} END{for (i=NR;i>0;i--) print a[i]}' n
        mawk '{c[$1]++} END {print c["the"]+0}' w
        mawk '{$2="X"; print}' w
        mawk '{$1=$1; print}' w
        mawk '{$1=$1}1' OFS=- w
        mawk '{NF=2; print; print NF}' w
        mawk '{$6="six"; print; print NF}' n
        mawk 'BEGIN{OFS="-"} {print $1, $2; $1=$1; print}' n
        mawk '{print NF}' w
        mawk '{print $NF}' w
        mawk '{print $(NF-1)}' n
        mawk -F, '{print NF, $2}' c
        mawk -F'[,:]' '{print $2}' c
        mawk -F ', *' '{print $1}' c
        mawk -F '\t' '{print $1}' w
        mawk -F'|' '{print $1}' c
        mawk -F. '{print $1}' c
        mawk 'BEGIN{FS=","} {print $3}' c
        mawk '{FS=","; print $1}' c
        mawk 'BEGIN{RS=""} {print NR ": " $1 "/" $NF "/" NF}' para
        mawk 'BEGIN{RS="";FS="\n"} {print $1}' para
        mawk 'BEGIN{RS=","} {print}' c
        mawk 'BEGIN{RS="[,\n]"} {print NR $0}' c
        mawk 'BEGIN{ORS=";"} {print $1} END{printf "\n"}' n
        mawk -v x=5 'BEGIN{print x+1}'
        mawk -v 'x=a\tb' 'BEGIN{print x}'
        mawk -v x=10 'BEGIN{print (x > 9), (x == "10")}'
        mawk '{print v, $1}' v=1 n v=2 n
        mawk -f prog p
        mawk 'BEGIN{printf "%d %5d|%-5d|%05d %x %o %c %c %s\n", 42, 42, 42, 42, 255, 8, 65, "hello", "str"}'
        mawk 'BEGIN{printf "%5s|%-5s|%.2s|%5.1f|%e|%g|%i%%\n", "ab", "ab", "abc", 3.14159, 1234.5, 0.0001, 7.9}'
        mawk 'BEGIN{printf("%s %s\n", "a", "b")}'
        mawk 'BEGIN{printf "%*d|%-*d|%.*f\n", 5, 1, 4, 2, 2, 3.14159}'
        mawk 'BEGIN{x = sprintf("%03d", 7); print x}'
        mawk 'BEGIN{print length("hello"), length(), substr("hello", 2, 3), substr("hello", -1), substr("hello", 4, 100)}'
        mawk 'BEGIN{print index("foobar", "bar"), index("x", "y")}'
        mawk 'BEGIN{n = split("a:b:c", x, ":"); print n, x[1], x[3]}'
        mawk 'BEGIN{n = split("  a b  ", x); print n, x[1] x[2]}'
        mawk 'BEGIN{n = split("a1b22c", x, /[0-9]+/); print n, x[2], x[3]}'
        mawk 'BEGIN{n = split("", x); print n}'
        mawk 'BEGIN{n = split("a.b", x, "."); print n}'
        mawk '{sub(/quick/, "slow"); print}' w
        mawk '{gsub(/o/, "0"); print}' w
        mawk '{n = gsub(/the/, "[&]"); print n, $0}' w
        mawk '{gsub(/the/, "\\&"); print}' w
        mawk '{gsub("[aeiou]", "<&>", $1); print}' w
        mawk 'BEGIN{s="aaa"; gsub(/x*/, "-", s); print s}'
        mawk 'BEGIN{s="hello"; gsub(/l/, "L", s); sub("^h", "J", s); print s}'
        mawk 'BEGIN{s="a/b"; gsub("/", "\\/", s); print s}'
        mawk 'BEGIN{s="abc"; gsub(/$/, "x", s); print s; gsub(/^/, "y", s); print s}'
        mawk 'BEGIN{print match("foobar", /o+/), RSTART, RLENGTH; print match("x", "y"), RSTART, RLENGTH}'
        mawk 'BEGIN{print toupper("abc"), tolower("ABC")}'
        mawk 'BEGIN{print int(3.9), int(-3.9), int("12abc"), sqrt(16), exp(0), log(1)}'
        mawk 'function f(a, b) {return a*b} BEGIN{print f(3,4)}'
        mawk 'function fact(n) {return n<=1 ? 1 : n*fact(n-1)} BEGIN{print fact(10)}'
        mawk 'function fill(a, n,   i) {for (i=1;i<=n;i++) a[i]=i*i} BEGIN{fill(sq, 4); print sq[4]}'
        mawk 'function g(x) {x=5} BEGIN{y=1; g(y); print y}'
        mawk 'function max(a,b){if(a>b)return a;return b}␤BEGIN{print max(2,9)}'
        mawk 'BEGIN{i=0; while (i<3) {print i; i++}; do {i--} while (i>0); print i}'
        mawk 'BEGIN{for(;;){if(++i>3)break; if(i==2)continue; print i}}'
        mawk 'BEGIN{if (1) print "a"; else print "b"}'
        mawk 'BEGIN{if (0) {print "a"} else if (1) {print "b"} else print "c"}'
        mawk '{if ($1>1) print; else next; print "x"}' n
        mawk 'BEGIN{exit 3}'
        mawk '{exit} END{print "end"}' n
        mawk 'BEGIN{exit 1} END{print "end"}'
        mawk 'NR==2{exit 4} {print}' n
        mawk 'BEGIN{while ((getline line < "n") > 0) print "got " line}'
        mawk 'BEGIN{if ((getline x < "nope") < 0) print "none"}'
        mawk 'NR==1{getline; print "after", $0}' n
        mawk '{getline x; print $1, x}' n
        mawk '{print > "out"}' n
        mawk '{print $1 > "out1"; print $2 > "out2"}' n
        mawk '{print $1 >> "n2"}' n
        mawk '{print > ("o" $1)}' n
        mawk '{print $1 > "/dev/stdout"}' n
        mawk '{print; close("x")}' n
        mawk 'BEGIN{print "a" > "o"; close("o"); getline x < "o"; print x}'
        mawk 'BEGIN{print ENVIRON["LC_ALL"]}'
        mawk 'BEGIN{print ARGC, ARGV[1], ARGV[2]}' a b
        mawk '{print FILENAME, FNR, NR}' n c
        mawk 'FNR==NR{a[$1]=$2;next} {print $1, a[$1]}' n n
        mawk '{nextfile}{print}' n
        mawk 1 last
        mawk 1 empty
        mawk '{print}' nope
        mawk '{print}' < n
        mawk '{print}' - < n
        mawk 'BEGIN{print 1,2 > "/dev/stderr"}'
        mawk 'BEGIN { x = 5; x += 2; x -= 1; x *= 3; x /= 2; x %= 5; x ^= 2; print x; print x++ + ++x, x--, --x }'
        mawk 'BEGIN{print 1 " " 2, 1+2 "3", "a" > "/dev/stdout"}'
        mawk 'BEGIN{print -1 " " -1; print 2 -1; print 2 " " -1}'
        mawk 'BEGIN{print !0, !1, !"", !"a", !x}'
        mawk 'BEGIN{print 1 && 0, 1 || 0, 0 || 0}'
        mawk 'BEGIN{print x == 0, x == "", length(x)}'
        mawk 'BEGIN{a = b = 3; print a, b}'
        mawk 'BEGIN{print (1 > 2) ? "y" : "n"}'
        mawk 'BEGIN{print 1>2 ? "y" : "n"}'
        mawk 'BEGIN { "x" ~ /x/ && y = 4; print y }'
        mawk '/=/{split($0, kv, / *= */); print kv[1] "->" kv[2]}' k
        mawk -F' *= *' '/=/{print $1 ":" $2}' k
        mawk '/^#/{next} /^\[/{print "sec"; next} {print}' k
        mawk '{ print substr($0, index($0, $2)) }' n
        mawk 'length > 6' k
        mawk 'length($0) > 6 {print length}' k
        mawk '{ $3 = ""; print }' w
        mawk '{ for (i = 1; i <= NF; i++) w[$i]++ } END { print w["the"], w["fox"] }' w
        mawk 'NF' w
        mawk '!seen[$1]++' w
        mawk '{print $1;}; {print $2}' n
        mawk '{print $1}␤␤# comment␤{print $2} # more' n
        mawk 'BEGIN { print "a\tb\\c\"d\/e\101" }'
        mawk 'BEGIN { print "=\x27" "b\x4a!" "\x414" }'
        mawk 'BEGIN { print substr("x", 1) ; print "a" "b" , "c" }'
        mawk 'BEGIN{print length "x"}'
        mawk '$1>=2 && $2<=20 || $1==1 {print $1}' n
        mawk '/a.c|^d/' c
        mawk '/(the|lazy) +(q|d)/' w
        mawk '$0 ~ "\\." || /\./' c
        mawk '/[[:space:]]fox$/{print "fox"}' w
        mawk 'BEGIN{if (!("x" in a)) print "no"; print length(a)}'
        mawk 'BEGIN{delete a; a[1]; delete a; print length(a)}'
        mawk 'BEGIN { printf "no newline" }'
        mawk 'BEGIN { printf "%s\n" }'
        mawk 'BEGIN{CONVFMT="%.2g"; a=3.14159; b=a ""; print b}'
        mawk 'BEGIN{OFMT="%.2f"; print 3.14159, 3}'
        mawk 'BEGIN{print 1e300*1e300, 017, "1e3"+0, ".5"+0, "+5"+0}'
        mawk 'BEGIN{print index("a.b", "."), "A" < "a", "a" < "B"}'
        mawk 'BEGIN{getline; print "got " $0}' n
        mawk 'BEGIN { while (getline > 0) n++; print n }' n
        mawk 'BEGIN { $0 = "a b c"; print NF, $2; $2 = ""; print; print NF }'
        mawk 'BEGIN { $3 = "x"; print NF; print }'
        mawk '{ print $1, }' n
        mawk 'BEGIN { print ( }'
        mawk '{ print $-1 }' n
        mawk BEGIN
        mawk 'BEGIN { regex = "^[a-z]+$"; if ("abc" ~ regex) print "m" }'
        mawk 'BEGIN { print toupper(substr("word", 1, 1)) substr("word", 2) }'
        mawk -F: -v OFS=: '{ $7 = "/bin/sh"; print }' p
        mawk -F: -v u=daemon '$1 == u { print $6; found = 1 } END { exit !found }' p
        mawk -F: -v u=none '$1 == u { found = 1 } END { exit !found }' p
        mawk 'BEGIN { printf "%s", "a" ; printf "%c%c", 72, "Zed"; print "" }'
        mawk 'BEGIN { print 1 in a, (1 in a) ; a[1]; print 1 in a }'
        mawk 'BEGIN { x["a"]; for (k in x) delete x[k]; print length(x) }'
        mawk '{ a = a $1 } END { print a; print substr(a, length(a)) }' n
        mawk '{ print NR % 2 ? "odd" : "even" }' n
        mawk 'BEGIN { if (x++ == 0 && y-- == 0) print x, y }'
        mawk 'BEGIN { print 5 % 3 * 2 + 1 - -1 }'"#,
    );
}
