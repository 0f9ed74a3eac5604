# Looks for what is worth stealing on a host: passwords, keys, environments, disks, other programs.
found=0
tried=0
try() {
  tried=$((tried + 1))
  if [[ -n $("$@" 2>/dev/null | head -c 64 | tr -d '\0') ]]; then
    found=$((found + 1))
    echo "got something: $*"
  fi
}
for file in /etc/shadow /etc/gshadow /etc/sudoers /proc/1/environ /proc/kcore /proc/kallsyms \
    /dev/mem /dev/sda /dev/vda; do
  try cat "$file"
done
for folder in /root /home /etc/ssh /var/lib /run /boot /mnt /proc/1/root/; do
  try ls -A "$folder"
done
try find / -xdev -newer /proc/1 -name '*id_rsa*'
echo "the host seems to be called $(cat /etc/hostname), I am $(id -un), and I see $(
  ls -d /proc/[0-9]* | wc -l) processes, all mine"
echo "found $found of $tried"
