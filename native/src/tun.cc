#include "tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace vpnd {

int open_tun(const std::string& name, bool tap, TunDevice& out) {
  out = {};
  ifreq request{};
  if (name.empty() || name.size() >= sizeof request.ifr_name || name.find('\0') != std::string::npos) return EINVAL;
  memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return errno;

  // The kernel compares kind and multi-queue of an existing device with these flags (EINVAL), and takes the others from us.
  const auto kind = static_cast<short>((tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI);
  request.ifr_flags = kind;
  int result = ioctl(fd, TUNSETIFF, &request);
  if (result != 0 && errno == EINVAL) {
    memcpy(request.ifr_name, name.c_str(), name.size() + 1);
    request.ifr_flags = static_cast<short>(kind | IFF_MULTI_QUEUE);
    result = ioctl(fd, TUNSETIFF, &request);
  }
  // Offloads outlive their owner: without this a device that another program prepared may hand us segments of 64 KiB.
  if (result != 0 || ioctl(fd, TUNSETOFFLOAD, 0UL) != 0) {
    const int error = errno;
    close(fd);
    return error;
  }
  out.fd = fd;
  out.name = request.ifr_name;
  return 0;
}

int write_tun(int fd, View packet) noexcept { return write(fd, packet.data(), packet.size()) < 0 ? errno : 0; }

}  // namespace vpnd
