/**
 * Shell scripts that move files, with the tools of Debian, Alpine and BusyBox. `$1` is the path; one that begins with a hyphen must not
 * become an option. The client parses the messages, so they have to be in English.
 */
const PATH = 'export LC_ALL=C; p=$1; case $p in -*) p=./$p ;; esac';

/** `$2`: the first byte, from 1 on. `$3`: the most bytes, or empty. */
export const READ = `${PATH}
[ -d "$p" ] && { echo 'Is a directory' >&2; exit 1; }
# What cannot be read is told by cat: each shell has words of its own.
[ -r "$p" ] && { [ "$2" -gt 1 ] || [ -n "$3" ]; } || exec cat "$p"
exec 0< "$p" || exit 1
if [ -n "$3" ]; then tail -c "+$2" | head -c "$3"; else exec tail -c "+$2"; fi`;

/**
 * Writes stdin to a file beside the path, and prints its size, its SHA-256 and its name. `$2` makes the name unique, `$3` is the mode or
 * empty. A symbolic link is kept: the file that it names is replaced.
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

/** Moves the file of WRITE to its place. */
export const MOVE = `export LC_ALL=C
mv -f "$1" "\${1%.execplane-*}" || { rm -f "$1"; exit 1; }`;

const FORMAT = '%f %s %Y %n';
export const STAT = `${PATH}
exec stat -c '${FORMAT}' "$p"`;

/** Entries end with a line break and NUL: names may contain any other separator. */
export const LIST = `${PATH}
cd "$p" || exit 1
for f in * .[!.]* ..?*; do
  if [ -e "$f" ] || [ -L "$f" ]; then stat -c '${FORMAT}' "./$f" && printf '\\000'; fi
done`;

export const REMOVE = `${PATH}
[ -e "$p" ] || [ -L "$p" ] || { echo 'No such file or directory' >&2; exit 1; }
exec rm -r "$p"`;
