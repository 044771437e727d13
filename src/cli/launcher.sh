#!/bin/sh
# Starts execplane on the Node that came with it, else on the one in the PATH.
# Each program that a shell starts takes milliseconds, so "readlink" runs only for a link, as npm makes them.
self=$0
[ ! -L "$self" ] || self=$(readlink -f "$self")
case $self in */*) ;; *) self=./$self ;; esac
here=${self%/*}
node=$here/../../bin/node
[ -x "$node" ] || node=node

# Node restores the default action of every signal as it starts. Only before that can SIGHUP be seen to be ignored, as nohup leaves it:
# it is the lowest bit of the mask.
unset EXECPLANE_HANGUP_IGNORED
while read -r name mask; do
  case $name$mask in SigIgn:*[13579bdf]) export EXECPLANE_HANGUP_IGNORED=true ;; esac
done 2>/dev/null </proc/self/status

# Node opens /dev/null in the place of a closed descriptor, and bytes that are written there are lost without an error.
closed=
{
  true 3<&0 || closed=stdin
  true 3>&1 || closed="$closed stdout"
} 2>/dev/null
true 3>&2 || closed="$closed stderr"
unset EXECPLANE_CLOSED_STREAMS
[ -z "$closed" ] || export EXECPLANE_CLOSED_STREAMS="$closed"

# Node also raises its soft limit of open files to the hard one as it starts. Commands of the agent get the soft limit from before. A
# program that has the variable already passes it on.
[ -n "$EXECPLANE_FILE_LIMIT" ] || export EXECPLANE_FILE_LIMIT="$(ulimit -Sn)"

# After "--" Node takes no option for its own, such as --env-file.
[ $$ = 1 ] || exec "$node" -- "$here/main.js" "$@"

# The first process of a container inherits orphans. Node does not reap them, and a shell does as it waits.
case $closed in *stdin*) exec </dev/null ;; esac
exec 3<&0
"$node" -- "$here/main.js" "$@" <&3 3<&- &
child=$!
exec 3<&-
for signal in HUP INT QUIT TERM USR1 USR2; do
  trap "kill -s $signal $child" "$signal"
done
wait "$child"
code=$?
# A signal that was passed on ends the wait too.
while kill -0 "$child" 2>/dev/null; do
  wait "$child"
  code=$?
done
# It may have exited just as a signal came: its code is then still to be asked for.
wait "$child" 2>/dev/null
last=$?
[ "$last" = 127 ] || code=$last
exit "$code"
