#!/bin/sh
# First process of the test's guest: loads what drives the card, then runs the lines that come in on the first serial
# port. Each line is "<number> <command>"; its output is followed by a line "#<number> <exit code>".
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
for module in /modules/*.ko; do insmod "$module"; done
ip link set lo up
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty raw -echo
echo "#ready"
while read -r number line; do
  eval "$line" </dev/null 2>&1
  printf '\n#%s %s\n' "$number" "$?"
done
