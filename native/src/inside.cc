#include "inside.h"

#include <unistd.h>

#include <cerrno>

#include "ip_packet.h"
#include "record.h"
#include "tun.h"

namespace vpnd {

namespace {

bool is_multicast(const Address& a) {
  if (a.family == 6) return a.bytes[0] == 0xff;
  return a.bytes[0] >> 4 == 14 || load32(a.bytes.data()) == 0xffffffff;
}

}  // namespace

// One byte more than the MTU is read, to tell what is too big from what fits.
Inside::Inside(Dataplane& dataplane, unsigned lane)
    : dataplane_(dataplane),
      lane_(lane),
      stride_((kRecordOverhead + dataplane.mtu + 1 + 63) / 64 * 64),
      buffers_(std::make_unique_for_overwrite<uint8_t[]>(stride_ * SendBatch::kMax)),
      batch4_(dataplane, dataplane.sockets.fd4()),
      batch6_(dataplane, dataplane.sockets.fd6()) {}

bool Inside::round() noexcept {
  bool present = true;
  for (unsigned i = 0; i < SendBatch::kMax; i++) {
    uint8_t* packet = slot(i) + kRecordHeader;
    const ssize_t n = read(dataplane_.tun_fd, packet, dataplane_.mtu + 1);
    if (n <= 0) {
      present = n < 0 && (errno == EAGAIN || errno == EINTR);
      break;
    }
    handle(i, {packet, static_cast<size_t>(n)});
  }
  batch4_.flush();
  batch6_.flush();
  return present;
}

void Inside::handle(unsigned i, View packet) noexcept {
  if (packet.size() > dataplane_.mtu) return dataplane_.drops.add(Drop::too_big);
  IpHeader header;
  if (!parse_ip(packet, header)) return dataplane_.drops.add(Drop::malformed_packet);
  if (is_multicast(header.destination)) return dataplane_.drops.add(Drop::multicast);
  Peer* peer = dataplane_.routes.load(std::memory_order_acquire)->find(header.destination);
  if (!peer) {
    dataplane_.drops.add(Drop::unknown_destination);
    return answer_unreachable(packet, header);
  }
  if (peer->foreign.load(std::memory_order_acquire)) {
    const Mail mail{Mail::Kind::foreign_packet, {}, 0, peer->id, packet};
    if (!dataplane_.control_mail.post(mail)) dataplane_.drops.add(Drop::control_queue_full);
    return;
  }
  seal(i, *peer, packet.size());
}

void Inside::seal(unsigned i, Peer& peer, size_t size) noexcept {
  Session* session = peer.session.load(std::memory_order_acquire);
  const Endpoint* path = peer.path.load(std::memory_order_acquire);
  if (!session || !path) return dataplane_.drops.add(Drop::no_session);
  const size_t sealed = seal_record(*session, lane_, slot(i) + kRecordHeader, size, slot(i));
  if (sealed == 0) return dataplane_.drops.add(Drop::seal_error);
  (path->address.family == 4 ? batch4_ : batch6_).add(*path, slot(i), sealed, peer, size);
}

void Inside::answer_unreachable(View packet, const IpHeader& header) noexcept {
  const uint64_t now = coarse_ms();
  if (unknown_rate_.take(now)) dataplane_.unknown.add(header.destination);
  if (!may_answer(packet, header) || !icmp_rate_.take(now)) return;
  const size_t size = make_unreachable(packet, header, icmp_);
  if (write_tun(dataplane_.tun_fd, {icmp_, size}) != 0) dataplane_.drops.add(Drop::tun_error);
}

}  // namespace vpnd
