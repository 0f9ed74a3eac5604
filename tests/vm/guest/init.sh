#!/bin/sh
# Pid 1 of the test machine: makes the small world that the suites expect, runs them, switches off.
# The machine has cgroup v2 and nothing else, as systemd of today sets it up: controllers handed
# down from the root, and one subtree delegated to the ordinary user `tester`.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8

mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /run
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
hostname testmachine
# So that the controls of the network probes can show that ICMP works here, outside the sandbox.
sysctl -q -w net.ipv4.ping_group_range='0 2147483647'

# The small kernel with core scheduling has all it needs built in.
if [ -e /proc/modules ]; then
  for module in virtio_console loop overlay quota_v2 fuse dummy; do
    modprobe "$module" || echo "init: cannot load $module"
  done
fi

# A host has a name, an identity and an address besides loopback, which sandboxes must not learn.
tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
ip link set lo up
ip link show dummy0 > /dev/null 2>&1 || ip link add dummy0 type dummy
ip addr add 192.0.2.1/24 dev dummy0
ip link set dummy0 up
ip route add default dev dummy0

# The state directory of root is a file system that can do project quotas; the root disk cannot.
mount -t ext4 -o rw,nosuid,nodev,prjquota /dev/vdc /var/lib/airlock

# Built programs and tests know the repository by its path on the host.
repository=$(cat /payload/root-path)
mkdir -p "$repository"
mount --bind /payload "$repository"
echo /payload/lib > /etc/ld.so.conf.d/payload.conf
ldconfig

delegate() {
  echo '+memory +pids +cpu' > "$1/cgroup.subtree_control"
}
user_slice=/sys/fs/cgroup/user.slice/user-1000.slice
service=$user_slice/user@1000.service
mkdir -p "$service" /sys/fs/cgroup/system.slice/suite.service
delegate /sys/fs/cgroup
delegate /sys/fs/cgroup/system.slice
delegate /sys/fs/cgroup/user.slice
delegate "$user_slice"
chown tester:tester "$service" "$service/cgroup.procs" "$service/cgroup.threads" \
  "$service/cgroup.subtree_control"
setpriv --reuid=tester --regid=tester --init-groups mkdir "$service/suite.scope"
install -d -m 700 -o tester -g tester /run/user /run/user/1000
chmod 755 /run/user

# A shell waits for every child it gets, so orphans of the suites do not stay as zombies.
python3 /payload/tests/vm/guest/run_suites.py < /dev/null &
wait $!
sync
exec /bin/busybox poweroff -f
