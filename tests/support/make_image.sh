#!/bin/sh
# make_image.sh DIRECTORY: a small Debian disk image with sshd, its kernel, its initramfs and a key, for the test of
# machines with images (FIRSTBAD_TEST_IMAGE=DIRECTORY). Needs root, debootstrap, e2fsprogs, openssh-client, network.
set -e
mkdir -p "$1"
cd "$1"
debootstrap --variant=minbase bookworm root \
	--include=openssh-server,linux-image-cloud-amd64,udev,iproute2,kmod,initramfs-tools http://deb.debian.org/debian
[ -f key ] || ssh-keygen -q -t ed25519 -N '' -f key
chroot root passwd -d root
mkdir -p -m 700 root/root/.ssh
cp key.pub root/root/.ssh/authorized_keys
printf 'PermitRootLogin yes\nPermitEmptyPasswords yes\nUseDNS no\n' >> root/etc/ssh/sshd_config
# Instead of systemd, which takes long where machines are emulated.
cat > root/sbin/init <<'END'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /run/sshd
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
modprobe virtio_net
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
/usr/sbin/sshd
while :; do sleep 1000; done
END
chmod 755 root/sbin/init
cp root/boot/vmlinuz-* vmlinuz
cp root/boot/initrd.img-* initrd.img
rm -rf root/var/cache/apt root/var/lib/apt/lists root/usr/share/doc root/usr/share/locale
rm -f disk.raw
mke2fs -q -t ext4 -d root disk.raw 900M
