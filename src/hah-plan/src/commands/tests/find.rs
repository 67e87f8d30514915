use super::oracle::{Files, check_rows, files};

fn fixture() -> Files {
    files(&[
        ("a.conf", "x\n"),
        ("b.txt@600", ""),
        ("d/", ""),
        ("d/c.conf@755", "ccc\n"),
        ("d/e/", ""),
        ("d/sub/", ""),
        ("d/sub/F.Conf", "f\n"),
        ("d/sub/x y", "space\n"),
        ("l", "-> d"),
        ("m", "-> a.conf"),
        ("n", "-> nowhere"),
        (".hid/", ""),
        (".hid/h", "h"),
        ("list", "a.conf b.txt\nd/c.conf\n"),
        ("quoted", "'a b' \"c d\" e\\ f\n"),
        ("nul", "a b\0c\0"),
        ("lines", "one two\nthree\n\n four \n"),
    ])
}

#[test]
fn expressions_are_as_in_find() {
    check_rows(
        &fixture(),
        r#"find | sort
        find . | sort
        find d | sort
        find d l | sort
        find -L l | sort
        find -H l | sort
        find l/ | sort
        find . -name *.conf | sort
        find . -iname *.conf | sort
        find . -name '*.conf' -type f | sort
        find . -type d | sort
        find . -type l | sort
        find . -type f,l | sort
        find . -xtype f | sort
        find . -xtype l | sort
        find -L . -type l | sort
        find . -maxdepth 1 | sort
        find . -mindepth 1 -maxdepth 1 -type d | sort
        find . -mindepth 2 -name 'c*' | sort
        find . -path './d/*' | sort
        find . -path './d' -prune -o -type f -print | sort
        find . -name sub -prune -o -print | sort
        find . ! -name '*.conf' | sort
        find . -not -type d -a -name 'a*' | sort
        find . -name 'a*' -o -name 'b*' | sort
        find . ( -name 'a*' -o -name 'b*' ) -type f | sort
        find . -empty | sort
        find . -type f -empty | sort
        find . -size 0 | sort
        find . -type f -size +3c | sort
        find . -type f -size -2 | sort
        find . -type f -size 1k | sort
        find . -perm 600 | sort
        find . -perm -100 -type f | sort
        find . -perm /111 -type f | sort
        find . -perm -u+x -type f | sort
        find . -user root -type f | sort
        find . -group root -name a.conf
        find . -uid 0 -name a.conf
        find . -nouser
        find . -links 1 -type f | sort
        find . -newer a.conf -type f | sort
        find . -lname 'd*' | sort
        find . -regex './d/.*' | sort
        find . -regextype posix-extended -regex './(a|b)\..*' | sort
        find . -samefile a.conf | sort
        find . -type f -executable | sort
        find d -type f -print0
        find d -maxdepth 0 -printf '%p %f %h %y %m %d %s\n'
        find d -printf '%P|%f|%h|%y|%d\n' | sort
        find . -type l -printf '%l\n' | sort
        find d -depth -name c.conf
        find d -delete
        find . -name '*.conf' -delete
        find . -empty -delete
        find . -type f -name a.conf -exec cat {} ;
        find . -name a.conf -exec echo x {} y {} ;
        find . -name '*.conf' -exec echo {} + | sort
        find d -maxdepth 1 -type f -exec chmod 600 {} +
        find d -type f -exec rm -f {} ;
        find . -name a.conf -exec false ; -print
        find . -name a.conf -exec true ; -print
        find . -name a.conf -execdir cat {} ;
        find nope
        find . -nope
        find . -name
        find d -name c.conf -quit
        find . -name a.conf -print -quit
        find . -maxdepth 1 -name '.*' | sort
        find . -true -name a.conf
        find d -mindepth 1 -maxdepth 1 -exec basename {} ; | sort
        find . -xdev -name a.conf
        find . -type x
        find . (
        find . -name a.conf -o
        find . -path ./d -prune -o -name '*.conf' -print | sort
        find . -name c.conf , -name a.conf | sort
        find d -type d -exec chmod 700 {} +
        find a.conf -maxdepth 0 -name a.conf
        find . -ipath './D/*' -name c* | sort
        find d/ -name c.conf
        find ./ -name a.conf"#,
    );
}

#[test]
fn command_lines_are_as_in_xargs() {
    check_rows(
        &fixture(),
        r#"xargs < list
        xargs echo < list
        xargs -n1 echo < list
        xargs -n 2 < list
        xargs -L1 echo < list
        xargs -I{} echo [{}] < lines
        xargs -I % echo %-% < list
        xargs -i echo x{} < lines
        xargs < quoted
        xargs -n1 < quoted
        xargs -0 -n1 < nul
        xargs -0 echo < nul
        xargs -d '\n' -n1 echo < lines
        xargs -r echo < b.txt
        xargs echo hi < b.txt
        xargs -rn1 cat < list
        xargs rm -f < list
        xargs false < list
        xargs -n1 false < list
        xargs -a list echo
        xargs -t echo < list
        xargs -E d/c.conf echo < list
        xargs -L 1 < lines
        xargs -r0 -n 1 echo < nul
        xargs ls -d < list
        xargs chmod 700 < list
        xargs --no-run-if-empty --max-args=1 echo < list"#,
    );
}
