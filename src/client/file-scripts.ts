/**
 * Shell scripts that move files, with what Debian, Alpine and BusyBox have. `$1` is the path. One that begins with a hyphen is
 * no option; messages are read here, so that they have to be in English.
 */
const PATH = 'export LC_ALL=C; p=$1; case $p in -*) p=./$p ;; esac';

/** `$2`: the first byte, from 1 on; `$3`: how many at most, or empty. */
export const READ = `${PATH}
[ -d "$p" ] && { echo 'Is a directory' >&2; exit 1; }
# What cannot be read is told by cat: each shell has words of its own.
[ -r "$p" ] && { [ "$2" -gt 1 ] || [ -n "$3" ]; } || exec cat "$p"
exec 0< "$p" || exit 1
if [ -n "$3" ]; then tail -c "+$2" | head -c "$3"; else exec tail -c "+$2"; fi`;

/**
 * Writes stdin to a file beside the path, and prints its size, its SHA-256 and its name. `$2` makes the name unique, `$3` is the mode or
 * empty. A symbolic link stays one: the file that it names is replaced.
 */
export const WRITE = `${PATH}
[ -d "$p" ] && { echo 'Is a directory' >&2; exit 1; }
[ -L "$p" ] && p=$(readlink -f "$p")
t=$p.execplane-$2
trap 'rm -f "$t"; exit 1' TERM HUP INT
cat > "$t" || { rm -f "$t"; exit 1; }
mode=$3
[ -n "$mode" ] || ! [ -e "$p" ] || mode=$(stat -c %a "$p")
[ -z "$mode" ] || chmod "$mode" "$t" || { rm -f "$t"; exit 1; }
sum=$(sha256sum < "$t") || { rm -f "$t"; exit 1; }
printf '%s %s %s\\n' "$(stat -c %s "$t")" "\${sum%% *}" "$t"`;

/** Puts what WRITE wrote in its place. */
export const MOVE = `export LC_ALL=C
mv -f "$1" "\${1%.execplane-*}" || { rm -f "$1"; exit 1; }`;

const FORMAT = '%f %s %Y %n';
export const STAT = `${PATH}
exec stat -c '${FORMAT}' "$p"`;

/** Entries end with a line break and NUL: names may hold either of what else could divide them. */
export const LIST = `${PATH}
cd "$p" || exit 1
for f in * .[!.]* ..?*; do
  if [ -e "$f" ] || [ -L "$f" ]; then stat -c '${FORMAT}' "./$f" && printf '\\000'; fi
done`;

export const REMOVE = `${PATH}
[ -e "$p" ] || [ -L "$p" ] || { echo 'No such file or directory' >&2; exit 1; }
exec rm -r "$p"`;
