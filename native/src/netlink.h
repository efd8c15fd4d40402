// Messages to the kernel's netlink families, one request at a time: built, sent, and their answer read.
#pragma once
#include <linux/netlink.h>

#include <functional>

#include "bytes.h"

namespace vpnd {

class NetlinkMessage {
 public:
  // `header`: of the family, such as ifinfomsg.
  template <typename Header>
  NetlinkMessage(uint16_t type, uint16_t flags, const Header& header) {
    bytes_.resize(NLMSG_HDRLEN);
    type_ = type;
    flags_ = flags;
    append(&header, sizeof header);
  }
  void add(uint16_t attribute, const void* data, size_t size);
  template <typename T>
  void add(uint16_t attribute, const T& value) {
    add(attribute, &value, sizeof value);
  }
  // Attributes until end() are within this one.
  size_t begin(uint16_t attribute);
  void end(size_t begun);
  // The whole message; the kernel is to acknowledge it.
  View finish();

 private:
  void append(const void* data, size_t size);
  Bytes bytes_;
  uint16_t type_, flags_;
};

class Netlink {
 public:
  // `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER.
  explicit Netlink(int protocol);
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;
  // Returns what the kernel answers: 0 or an errno value.
  int request(NetlinkMessage& message);
  // The same for a question with NLM_F_DUMP: each answer's payload, family header first. The function must not ask in turn.
  int dump(NetlinkMessage& message, const std::function<void(View)>& each);

 private:
  int fd_;
};

}  // namespace vpnd
