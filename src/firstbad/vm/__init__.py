"""Virtual machines: QEMU, console watcher, guest init."""
