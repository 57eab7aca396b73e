#!/bin/sh
# Instead of mrf in the tests of soak: says eight rows, as `mrf load` would, and leaves a summary that the test has prepared beside
# the file that it is told to write. A load with a rate waits the first time until it is terminated.
for json; do :; done
dir=$(dirname "$json")
leave=saturated
case $* in *--rate*)
    leave=soaked
    if [ ! -e "$dir/begun" ]; then
        touch "$dir/begun"
        leave=stopped
        sleep 600 >/dev/null &
        trap 'kill $!; cp "$dir/stopped" "$json"; exit 1' TERM
    fi ;;
esac
echo "     s     sent/s"
for row in 1 2 3 4 5 6 7 8; do echo "     $row          1"; done
echo "verified      1 sent"
if [ "$leave" = stopped ]; then wait; fi
cp "$dir/$leave" "$json"
