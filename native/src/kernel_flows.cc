#include "kernel_flows.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <algorithm>
#include <cerrno>

#include "destinations.h"
#include "netlink.h"

namespace vpnd {

namespace {

constexpr uint16_t message_type(uint16_t message) { return static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message); }

nfgenmsg header_of(uint8_t family) { return {family, NFNETLINK_V0, 0}; }

// The attribute of this type among those of `bytes`; empty: it is not there.
View find(View bytes, uint16_t type) {
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr attribute;
    memcpy(&attribute, bytes.data(), sizeof attribute);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > bytes.size()) break;
    if ((attribute.nla_type & NLA_TYPE_MASK) == type) return bytes.subspan(sizeof attribute, attribute.nla_len - sizeof attribute);
    bytes = bytes.subspan(std::min(bytes.size(), static_cast<size_t>(NLA_ALIGN(attribute.nla_len))));
  }
  return {};
}

Address source_of(View tuple) {
  const View ip = find(tuple, CTA_TUPLE_IP);
  if (const View four = find(ip, CTA_IP_V4_SRC); four.size() == 4) return Address::v4(four.data());
  if (const View six = find(ip, CTA_IP_V6_SRC); six.size() == 16) return Address::v6(six.data());
  return {};
}

struct Flow {
  uint8_t family;
  Bytes tuple, zone;
};

}  // namespace

int forget_flows(const std::vector<Prefix>& sources) {
  std::vector<Flow> found;
  Netlink kernel(NETLINK_NETFILTER);
  NetlinkMessage question(message_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP, header_of(AF_UNSPEC));
  const int error = kernel.dump(question, [&](View message) {
    if (message.size() < sizeof(nfgenmsg)) return;
    const View attributes = message.subspan(NLMSG_ALIGN(sizeof(nfgenmsg)));
    const View tuple = find(attributes, CTA_TUPLE_ORIG), zone = find(attributes, CTA_ZONE);
    if (!any_contains(sources, source_of(tuple))) return;
    found.push_back({message[0], {tuple.begin(), tuple.end()}, {zone.begin(), zone.end()}});
  });
  // The kernel has no connection tracking.
  if (error == EINVAL || error == EOPNOTSUPP || error == EPROTONOSUPPORT) return 0;
  if (error != 0) return error;
  for (const Flow& flow : found) {
    NetlinkMessage message(message_type(IPCTNL_MSG_CT_DELETE), 0, header_of(flow.family));
    message.add(CTA_TUPLE_ORIG | NLA_F_NESTED, flow.tuple.data(), flow.tuple.size());
    if (!flow.zone.empty()) message.add(CTA_ZONE, flow.zone.data(), flow.zone.size());
    // One that has just ended by itself is fine too.
    if (const int refused = kernel.request(message); refused != 0 && refused != ENOENT) return refused;
  }
  return 0;
}

}  // namespace vpnd
