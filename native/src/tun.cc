#include "tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "vnet_header.h"

namespace vpnd {

namespace {

// Newer than the headers of some systems that we build on.
constexpr unsigned kTsoFlags = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
constexpr unsigned kUsoFlags = 0x20 | 0x40;  // TUN_F_USO4, TUN_F_USO6

bool set_offloads(int fd, unsigned flags) { return ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(flags)) == 0; }

int attach(int fd, ifreq& request, const std::string& name, int flags) {
  memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  request.ifr_flags = static_cast<short>(flags);
  return ioctl(fd, TUNSETIFF, &request) == 0 ? 0 : errno;
}

}  // namespace

int open_tun(const TunRequest& request, TunDevice& out) {
  out = {};
  ifreq interface{};
  const std::string& name = request.name;
  if (name.empty() || name.size() >= sizeof interface.ifr_name || name.find('\0') != std::string::npos) return EINVAL;
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return errno;

  unsigned features = 0;
  const bool vnet = !request.plain && ioctl(fd, TUNGETFEATURES, &features) == 0 && (features & IFF_VNET_HDR);
  // The kernel compares kind and multi-queue of an existing device with these flags (EINVAL), and takes the others from us.
  const int kind = (request.tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI | (vnet ? IFF_VNET_HDR : 0);
  const int queues = request.multi_queue ? IFF_MULTI_QUEUE : 0;
  int error = attach(fd, interface, name, kind | queues);
  if (error == EINVAL) error = attach(fd, interface, name, kind | (queues ^ IFF_MULTI_QUEUE));
  // Without this a device that another program prepared may hand us segments of 64 KiB.
  if (error == 0 && !set_offloads(fd, 0)) error = errno;
  if (error != 0) {
    close(fd);
    return error;
  }
  out.fd = fd;
  out.name = interface.ifr_name;
  return 0;
}

int open_tun_queue(const std::string& name, TunDevice& out) {
  out = {};
  if (if_nametoindex(name.c_str()) == 0) return ENODEV;
  return open_tun({.name = name, .multi_queue = true}, out);
}

int detach_tun_queue(int fd) {
  ifreq request{};
  request.ifr_flags = IFF_DETACH_QUEUE;
  return ioctl(fd, TUNSETQUEUE, &request) == 0 ? 0 : errno;
}

Tun::Tun(int fd) : fd_(fd) {
  ifreq interface{};
  if (ioctl(fd, TUNGETIFF, &interface) != 0 || !(interface.ifr_flags & IFF_VNET_HDR)) return;
  int header = sizeof(VnetHeader);
  offloads_.vnet = true;
  if (ioctl(fd, TUNSETVNETHDRSZ, &header) != 0) return;
  // A TAP carries frames, which are not split here.
  if (interface.ifr_flags & IFF_TAP) return;
  offloads_.uso = set_offloads(fd, kTsoFlags | kUsoFlags);
  offloads_.tso = offloads_.uso || set_offloads(fd, kTsoFlags);
  offloads_.checksum = offloads_.tso || set_offloads(fd, TUN_F_CSUM);
}

int Tun::write(View packet) const noexcept {
  VnetHeader header{};
  iovec parts[] = {{&header, sizeof header}, {const_cast<uint8_t*>(packet.data()), packet.size()}};
  return offloads_.vnet ? write(parts, 2) : write(parts + 1, 1);
}

int Tun::open_queue() const {
  ifreq interface{};
  if (ioctl(fd_, TUNGETIFF, &interface) != 0 || !(interface.ifr_flags & IFF_MULTI_QUEUE)) return -1;
  TunDevice device;
  return open_tun({.name = interface.ifr_name, .tap = (interface.ifr_flags & IFF_TAP) != 0, .multi_queue = true}, device) == 0 ? device.fd : -1;
}

void Tun::turn_off() const noexcept {
  if (offloads_.vnet) set_offloads(fd_, 0);
}

}  // namespace vpnd
