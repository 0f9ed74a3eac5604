#!/bin/busybox sh
# Pid 1 of the initramfs: loads what the root disk needs, then hands over to the payload's init.
# Disks are told apart by their order on the command line of the machine: vda the root, vdb the
# payload, vdc the state disk.
b=/bin/busybox

fail() {
  echo "boot: $*" > /dev/console
  $b poweroff -f
}

$b mount -t devtmpfs devtmpfs /dev
# A kernel that has a driver built in refuses its module; disks that stay away are noticed below.
for module in /modules/*.ko; do
  $b insmod "$module" || echo "boot: not loaded: $module" > /dev/console
done
tries=0
until [ -b /dev/vdc ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 200 ] || fail "the disks did not appear within 10 s"
  $b usleep 50000
done
$b mount -t ext4 -o rw,noatime /dev/vda /newroot || fail "cannot mount the root disk"
$b mount -t ext4 -o ro /dev/vdb /newroot/payload || fail "cannot mount the payload disk"
$b mount --move /dev /newroot/dev || fail "cannot move /dev"
exec $b switch_root /newroot /payload/tests/vm/guest/init.sh
