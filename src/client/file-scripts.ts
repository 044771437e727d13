/**
 * Shell scripts that move files, with the tools of Debian, Alpine and BusyBox. `$1` is the path; one that begins with a hyphen must not
 * become an option. The client parses the messages, so they have to be in English.
 */
const PATH = 'export LC_ALL=C; p=$1; case $p in -*) p=./$p ;; esac';

/** Reads a file. `$2`: the first byte, counted from 1. `$3`: the maximum number of bytes, or empty. */
export const READ = `${PATH}
[ -d "$p" ] && { echo 'Is a directory' >&2; exit 1; }
# What cannot be read is told by cat: each shell has words of its own.
[ -r "$p" ] && { [ "$2" -gt 1 ] || [ -n "$3" ]; } || exec cat "$p"
exec 0< "$p" || exit 1
if [ -n "$3" ]; then tail -c "+$2" | head -c "$3"; else exec tail -c "+$2"; fi`;

/** Opens a temporary file. A symbolic link is kept, and its target replaced. The file is private until it gets the mode `$3` or that of the replaced file. */
const TARGET = `${PATH}
[ -d "$p" ] && { echo 'Is a directory' >&2; exit 1; }
[ -L "$p" ] && p=$(readlink -f "$p")
mode=$3
[ -n "$mode" ] || ! [ -e "$p" ] || mode=$(stat -c %a "$p")
[ -z "$mode" ] || umask 077`;

/** Gives the written file `$t` its mode, and prints its size, its SHA-256 and its name. */
const FINISH = `[ -z "$mode" ] || chmod "$mode" "$t" || { rm -f "$t"; exit 1; }
sum=$(sha256sum < "$t") || { rm -f "$t"; exit 1; }
printf '%s %s %s\\n' "$(stat -c %s "$t")" "\${sum%% *}" "$t"`;

/** Writes stdin to a file beside the path, whose name `$2` makes unique. Prints the line of FINISH. */
export const WRITE = `${TARGET}
t=$p.execplane-$2
trap 'rm -f "$t"; exit 1' TERM HUP INT
cat > "$t" || { rm -f "$t"; exit 1; }
${FINISH}`;

/**
 * The same for a transfer that may be interrupted: the written part is kept, and the next run with the same `$2` continues it. The first
 * printed line is the number of bytes in the part. Its name ends with the pid of its writer. A writer that receives nothing has lost its
 * sender, and is ended. Other users may be able to create files in the folder, so that only a part of this user is continued.
 */
export const CONTINUE = `${TARGET}
t=$p.execplane-$2.$$
for left in "$p.execplane-$2".*; do
  [ -f "$left" ] && ! [ -L "$left" ] && [ "$(stat -c '%h %u' "$left")" = "1 $(id -u)" ] || continue
  writer=\${left##*.}
  if grep -q -e "$2" "/proc/$writer/cmdline" 2>/dev/null; then
    size=$(stat -c %s "$left"); sleep 2
    [ "$size" = "$(stat -c %s "$left")" ] || continue
    kill -TERM "-$writer"
    for second in 1 2 3 4 5; do [ -d "/proc/$writer" ] && sleep 1; done
    [ -d "/proc/$writer" ] && continue
  fi
  mv -f "$left" "$t" && break
done
[ -f "$t" ] || (set -C; : > "$t") || exit 1
trap 'exit 1' TERM HUP INT
stat -c %s "$t"
cat >> "$t" || { [ $? -gt 128 ] || rm -f "$t"; exit 1; }
${FINISH}`;

/** Moves the file of WRITE or CONTINUE to its place. */
export const MOVE = `export LC_ALL=C
mv -f "$1" "\${1%.execplane-*}" || { rm -f "$1"; exit 1; }`;

const FORMAT = '%f %s %Y %n';
export const STAT = `${PATH}
exec stat -c '${FORMAT}' "$p"`;

/** Entries end with a line break and NUL: names may contain any other separator. */
export const LIST = `${PATH}
[ -e "$p" ] || { echo 'No such file or directory' >&2; exit 1; }
[ -d "$p" ] || { echo 'Not a directory' >&2; exit 1; }
cd "$p" 2>/dev/null || { echo 'Permission denied' >&2; exit 1; }
for f in * .[!.]* ..?*; do
  if [ -e "$f" ] || [ -L "$f" ]; then stat -c '${FORMAT}' "./$f" && printf '\\000'; fi
done`;

export const REMOVE = `${PATH}
[ -e "$p" ] || [ -L "$p" ] || { echo 'No such file or directory' >&2; exit 1; }
exec rm -r "$p"`;
