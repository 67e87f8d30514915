use super::oracle::{Files, check_rows, files};

fn fixture() -> Files {
    files(&[
        ("a", "one\ntwo\n"),
        ("b@600", "bee\n"),
        ("x@755", "#!/bin/sh\n"),
        ("s@4755", "suid\n"),
        ("empty", ""),
        ("d/", ""),
        ("d/f", "f\n"),
        ("d/sub/", ""),
        ("d/sub/g@640", "g\n"),
        ("d/l", "-> f"),
        ("e@700/", ""),
        ("link", "-> a"),
        ("dlink", "-> d"),
        ("dangling", "-> nowhere"),
    ])
}

#[test]
fn making_directories_is_as_in_mkdir() {
    check_rows(
        &fixture(),
        r#"mkdir n
        mkdir n m/o
        mkdir -p n/m/o d/sub/new
        mkdir -m 700 n
        mkdir -m u=rwx,go= n
        mkdir -m 1777 n
        mkdir -m +t n
        mkdir -pm 750 n/m
        mkdir -p a
        mkdir a
        mkdir -p a/b
        mkdir -p d
        mkdir -pv n/m
        mkdir dangling
        mkdir -p dlink/q
        mkdir -- -x
        mkdir n/
        mkdir --mode=0711 --parents q/r
        rmdir e
        rmdir d
        rmdir nope
        rmdir a
        rmdir --ignore-fail-on-non-empty d e
        rmdir -p d/sub
        mkfifo p q
        mkfifo -m 600 p
        mknod p p
        mknod -m 644 a p"#,
    );
}

#[test]
fn copying_is_as_in_cp() {
    check_rows(
        &fixture(),
        r#"cp a n
        cp a d
        cp a d/
        cp a n/
        cp a b
        cp b a
        cp x a
        cp s n
        cp -p s n
        cp -p b n
        cp -a d n
        cp -a d e
        cp -r d e
        cp -r d n
        cp -R d/. e
        cp d e
        cp a nope/n
        cp nope n
        cp a x d
        cp a x b
        cp -t d a x
        cp -T a d
        cp -T d n
        cp -rT d e
        cp -rT d n
        cp link n
        cp -P link n
        cp -d link n
        cp -rL d e
        cp -r dlink n
        cp -rH dlink n
        cp -rL dlink n
        cp a link
        cp -P link b
        cp -d link a
        cp -f a b
        cp -n a b
        cp -u a b
        cp -v a n
        cp -rv d n
        cp a a
        cp a link
        cp link a
        cp a dangling
        cp --remove-destination a link
        cp --remove-destination a dangling
        cp -f a dangling
        cp --preserve=mode b n
        cp --no-preserve=mode x n
        cp -a --no-preserve=mode x n
        cp --preserve=mode,timestamps x n
        cp -l a n
        cp -s a n
        cp -al d n
        cp -rp e n
        cp --reflink=auto a n
        cp -r a d n
        cp a
        cp
        cp -a link dlink n
        cp -a dangling e
        cp dangling e
        cp -af d/f a
        cp d/f e/../n
        cp -r d/sub/ e
        cp -a d/sub/. e/
        cp b /dev/stdout
        cp /dev/null n
        cp /dev/null a"#,
    );
}

#[test]
fn installing_is_as_in_install() {
    check_rows(
        &fixture(),
        r#"install a n
        install -m 644 a n
        install -m 0640 a d
        install -m u=rw,go=r a n
        install -d n/m/o
        install -d -m 750 n/m
        install -d -m 2755 e
        install -d d
        install -D -m 644 a n/m/o
        install -Dm600 a d/new
        install -D -t n/m a b
        install -t d a b
        install a b d
        install a b n
        install -T a d
        install -T a n
        install d n
        install nope n
        install -p -m 755 a n
        install -Z -m 640 a n
        install -C -m 644 a b
        install -v a n
        install -d a
        install a link
        install link n
        install a a
        install -m 755 /dev/null n
        install"#,
    );
}

#[test]
fn moving_and_linking_are_as_in_mv_and_ln() {
    check_rows(
        &fixture(),
        r#"mv a n
        mv a d
        mv a b
        mv a x d
        mv d e
        mv d n
        mv d a
        mv a d/f
        mv d d/sub
        mv nope n
        mv a nope/n
        mv -n a b
        mv -f a b
        mv -v a n
        mv -T a d
        mv -T e d
        mv -T d e
        mv -t d a x
        mv link n
        mv a link
        mv a a
        mv dangling n
        mv link d
        mv -u a b
        mv a
        mv d/ n
        mv a n/
        ln a n
        ln -s a n
        ln -s a
        ln -s d/f
        ln -s a b
        ln -sf a b
        ln -sf a d
        ln -sfn a dlink
        ln -sfT a dlink
        ln -sf a dlink
        ln -sT a d
        ln -sfT a d
        ln -s x d/new
        ln -s nowhere n
        ln -st d a x
        ln -s a x d
        ln -r -s d/f n
        ln -rs a d/sub/n
        ln -sr d/sub/g e/n
        ln -srf d/f link
        ln -sv a n
        ln d n
        ln nope n
        ln a b
        ln -f a b
        ln a d
        ln -s a n/m
        ln -snf x link
        ln -nsf x dangling
        link a n
        link d n
        unlink a
        unlink d"#,
    );
}

#[test]
fn removing_is_as_in_rm() {
    check_rows(
        &fixture(),
        r#"rm a
        rm a b
        rm nope
        rm -f nope
        rm -f nope a
        rm d
        rm -r d
        rm -rf d e nope
        rm -d e
        rm -d d
        rm -f d
        rm link
        rm -r dlink
        rm dangling
        rm -rv d
        rm -v a
        rm -rf
        rm
        rm -rf ./d/../e
        rm -r .
        rm -r d/.
        rm -- a
        rm --force nope
        rm -f a/b
        rm --recursive d"#,
    );
}

#[test]
fn permissions_are_as_in_chmod() {
    check_rows(
        &fixture(),
        r#"chmod 600 a
        chmod 0755 a
        chmod 4755 a
        chmod 755 s
        chmod u+x a
        chmod +x a
        chmod -x x
        chmod -w a
        chmod a-x,u+w x
        chmod go= a
        chmod o-rwx d
        chmod -R go-rwx d
        chmod -R u=rwX,go=rX d
        chmod -R a+X d
        chmod g+s d
        chmod 2755 d
        chmod 755 nope a
        chmod -f 755 nope
        chmod 644 link
        chmod 644 dangling
        chmod --reference=x a
        chmod --reference b a
        chmod -c 600 a b
        chmod -v 600 a b
        chmod ug=rw,o= a
        chmod g=u b
        chmod u+s,g+s x
        chmod +t e
        chmod u-s s
        chmod 8 a
        chmod u+q a
        chmod 600
        chmod -R 700 dlink
        chmod =r a
        chmod --recursive 0750 d
        touch n
        touch a
        touch -c n
        touch nope/n
        touch d
        touch -d @0 n
        touch dangling
        touch -h link
        touch -r a n
        truncate -s 0 a
        truncate -s 3 a
        truncate -s +2 a
        truncate -s 1K n
        truncate -cs 5 nope
        truncate -s -1 a"#,
    );
}
