# confmodule(3) for what an image leaves to its node's first boot; an image has no debconf.
# Questions have the answers of the build, nobody is asked anything, and what is set lasts as long as the script.

_hah_answers=$(cat /usr/lib/hah/first-boot/answers)
_hah_tab=$(printf '\t')

db_get() {
    _hah_status=10
    RET="$1 doesn't exist"
    while IFS="$_hah_tab" read -r _hah_name _hah_value; do
        if [ "$_hah_name" = "$1" ]; then
            RET=$_hah_value
            _hah_status=0
        fi
    done <<END_OF_ANSWERS
$_hah_answers
END_OF_ANSWERS
    return $_hah_status
}

db_set() {
    _hah_answers="$_hah_answers
$1$_hah_tab$2"
    RET='value set'
}

db_input() {
    RET='question skipped'
    return 30
}

db_fget() {
    RET=false
}

_hah_nothing() {
    RET=
}

db_version() { RET='2.0'; }
db_capb() { RET='multiselect escape'; }
db_beginblock() { _hah_nothing; }
db_endblock() { _hah_nothing; }
db_clear() { _hah_nothing; }
db_fset() { _hah_nothing; }
db_go() { _hah_nothing; }
db_info() { _hah_nothing; }
db_metaget() { _hah_nothing; }
db_progress() { _hah_nothing; }
db_purge() { _hah_nothing; }
db_register() { _hah_nothing; }
db_reset() { _hah_nothing; }
db_settitle() { _hah_nothing; }
db_stop() { _hah_nothing; }
db_subst() { _hah_nothing; }
db_title() { _hah_nothing; }
db_unregister() { _hah_nothing; }
