#include "client_device.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>

#include "netlink.h"

namespace vpnd {

namespace {

// What is of one family is refused as a whole where the kernel has no IPv6.
int set_family(Netlink& kernel, unsigned index, uint16_t family) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  NetlinkMessage message(RTM_NEWLINK, 0, header);
  const size_t all = message.begin(IFLA_AF_SPEC), own = message.begin(family);
  if (family == AF_INET6) {
    message.add(IFLA_INET6_ADDR_GEN_MODE, static_cast<uint8_t>(IN6_ADDR_GEN_MODE_NONE));
  } else {
    const size_t settings = message.begin(IFLA_INET_CONF);
    message.add(IPV4_DEVCONF_FORWARDING, uint32_t{1});
    message.end(settings);
  }
  message.end(own);
  message.end(all);
  return kernel.request(message);
}

int bring_up(Netlink& kernel, unsigned index, const ClientDevice& device) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  header.ifi_flags = header.ifi_change = IFF_UP;
  NetlinkMessage message(RTM_NEWLINK, 0, header);
  message.add(IFLA_MTU, device.mtu);
  message.add(IFLA_GROUP, device.group);
  return kernel.request(message);
}

int add_address(Netlink& kernel, unsigned index, const DeviceAddress& one) {
  ifaddrmsg header{};
  header.ifa_family = one.address.family == 4 ? AF_INET : AF_INET6;
  header.ifa_prefixlen = one.length;
  header.ifa_flags = one.address.family == 4 ? 0 : IFA_F_NODAD;
  header.ifa_index = index;
  NetlinkMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header);
  const size_t size = one.address.bits() / 8;
  message.add(IFA_LOCAL, one.address.bytes.data(), size);
  message.add(IFA_ADDRESS, one.address.bytes.data(), size);
  return kernel.request(message);
}

}  // namespace

int set_up_client_device(const ClientDevice& device) {
  const unsigned index = if_nametoindex(device.name.c_str());
  if (index == 0) return ENODEV;
  Netlink kernel(NETLINK_ROUTE);
  // Before it comes up: then it would speak already.
  set_family(kernel, index, AF_INET6);
  if (const int error = set_family(kernel, index, AF_INET)) return error;
  if (const int error = bring_up(kernel, index, device)) return error;
  for (const DeviceAddress& one : device.addresses) {
    if (const int error = add_address(kernel, index, one)) return error;
  }
  return 0;
}

int delete_devices(uint32_t group) {
  if (group == 0) return EINVAL;
  Netlink kernel(NETLINK_ROUTE);
  ifinfomsg header{};
  NetlinkMessage message(RTM_DELLINK, 0, header);
  message.add(IFLA_GROUP, group);
  const int error = kernel.request(message);
  return error == ENODEV ? 0 : error;
}

}  // namespace vpnd
