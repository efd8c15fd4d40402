#include "netlink.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace vpnd {

namespace {

// In the kernel's own byte order.
template <typename T>
void put(Bytes& bytes, size_t at, T value) {
  memcpy(bytes.data() + at, &value, sizeof value);
}

}  // namespace

void NetlinkMessage::append(const void* data, size_t size) {
  const size_t at = bytes_.size();
  bytes_.resize(at + NLMSG_ALIGN(size));
  memcpy(bytes_.data() + at, data, size);
}

void NetlinkMessage::add(uint16_t attribute, const void* data, size_t size) {
  const nlattr header{static_cast<uint16_t>(sizeof header + size), attribute};
  append(&header, sizeof header);
  append(data, size);
}

size_t NetlinkMessage::begin(uint16_t attribute) {
  const size_t at = bytes_.size();
  const nlattr header{0, static_cast<uint16_t>(attribute | NLA_F_NESTED)};
  append(&header, sizeof header);
  return at;
}

void NetlinkMessage::end(size_t begun) { put(bytes_, begun, static_cast<uint16_t>(bytes_.size() - begun)); }

View NetlinkMessage::finish() {
  const nlmsghdr header{static_cast<uint32_t>(bytes_.size()), type_, static_cast<uint16_t>(flags_ | NLM_F_REQUEST | NLM_F_ACK), 1, 0};
  put(bytes_, 0, header);
  return bytes_;
}

Netlink::Netlink(int protocol) : fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)) {}
Netlink::~Netlink() {
  if (fd_ >= 0) close(fd_);
}

int Netlink::request(NetlinkMessage& message) {
  if (fd_ < 0) return EMFILE;
  const View bytes = message.finish();
  if (send(fd_, bytes.data(), bytes.size(), 0) < 0) return errno;
  alignas(nlmsghdr) uint8_t answer[4096];
  const ssize_t got = recv(fd_, answer, sizeof answer, 0);
  if (got < 0) return errno;
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
  if (!NLMSG_OK(header, static_cast<size_t>(got)) || header->nlmsg_type != NLMSG_ERROR) return EPROTO;
  return -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
}

int Netlink::dump(NetlinkMessage& message, const std::function<void(View)>& each) {
  if (fd_ < 0) return EMFILE;
  const View bytes = message.finish();
  if (send(fd_, bytes.data(), bytes.size(), 0) < 0) return errno;
  std::vector<uint8_t> buffer(64 << 10);
  while (true) {
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0) return errno;
    size_t left = static_cast<size_t>(got);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type == NLMSG_DONE) return 0;
      if (header->nlmsg_type == NLMSG_ERROR) return -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
      each({static_cast<const uint8_t*>(NLMSG_DATA(header)), header->nlmsg_len - NLMSG_HDRLEN});
    }
  }
}

}  // namespace vpnd
