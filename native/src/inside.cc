#include "inside.h"

#include <unistd.h>

#include <cerrno>

#include "ipv4_fragments.h"
#include "mss_clamp.h"
#include "record.h"

namespace vpnd {

namespace {

// Packets of one round, so that a flood of them does not starve the other direction.
constexpr unsigned kRound = 256;
// Every IPv6 link carries this much (RFC 8200 section 5): a sender may be told no less.
constexpr size_t kMinimumV6 = 1280;

bool is_multicast(const Address& a) {
  if (a.family == 6) return a.bytes[0] == 0xff;
  return a.bytes[0] >> 4 == 14 || load32(a.bytes.data()) == 0xffffffff;
}

}  // namespace

Inside::Inside(Dataplane& dataplane, const Queue& queue, unsigned lane)
    : dataplane_(dataplane),
      queue_(queue),
      lane_(lane),
      batch4_(dataplane, queue.sockets.fd4(), queue.udp.gso),
      batch6_(dataplane, queue.sockets.fd6(), queue.udp.gso),
      buffer_(std::make_unique_for_overwrite<uint8_t[]>(sizeof(VnetHeader) + kMaxPacket + 64)),
      pieces_(std::make_unique_for_overwrite<uint8_t[]>(kMaxPacket + 64)) {}

Inside::Result Inside::round() noexcept {
  Result result = flush();
  if (result != Result::done) return result;
  const size_t before = queue_.tun.offloads().vnet ? sizeof(VnetHeader) : 0;
  for (unsigned i = 0; i < kRound; i++) {
    if ((!batch4_.roomy() || !batch6_.roomy()) && flush() != Result::done) return Result::blocked;
    const ssize_t n = read(queue_.tun.fd(), buffer_.get(), before + kMaxPacket);
    if (n <= 0) {
      if (n == 0 || (errno != EAGAIN && errno != EINTR)) result = Result::gone;
      break;
    }
    const auto size = static_cast<size_t>(n);
    VnetHeader header;
    if (size < before) {
      dataplane_.drops.add(Drop::malformed_packet);
      continue;
    }
    memcpy(&header, buffer_.get(), before);
    if (!handle(header, {buffer_.get() + before, size - before})) return Result::blocked;
  }
  const Result sent = flush();
  return result == Result::gone ? result : sent;
}

Inside::Result Inside::flush() noexcept {
  const bool sent = batch4_.flush();
  return batch6_.flush() && sent ? Result::done : Result::blocked;
}

bool Inside::handle(VnetHeader& header, std::span<uint8_t> packet) noexcept {
  IpHeader ip;
  const auto drop = [this](Drop reason) {
    dataplane_.drops.add(reason);
    return true;
  };
  if (!parse_ip(packet, ip)) return drop(Drop::malformed_packet);
  if (is_multicast(ip.destination)) return drop(Drop::multicast);
  Peer* peer = dataplane_.routes.load(std::memory_order_acquire)->find(ip.destination);
  if (!peer) {
    answer_unreachable(packet, ip);
    return drop(Drop::unknown_destination);
  }
  if (const Filter* filter = dataplane_.filter.load(std::memory_order_acquire)) filter->sent(packet, ip, peer, coarse_ms());
  const size_t mtu = dataplane_.mtu_to(*peer);
  if (header.gso_type == VnetHeader::kGsoNone) {
    const bool partial = header.flags & VnetHeader::kNeedsChecksum;
    clamp_mss(packet.data(), packet.size(), mtu, partial ? ChecksumField::pseudo : ChecksumField::whole);
    if (!(header.flags & VnetHeader::kNeedsChecksum)) return send(*peer, packet);
  }
  if (!segmenter_.begin(header, packet, mtu)) return drop(Drop::malformed_packet);
  while (true) {
    const std::span<uint8_t> segment = segmenter_.next();
    if (segment.empty()) return true;
    if (!send(*peer, segment)) return false;
  }
}

bool Inside::send(Peer& peer, std::span<uint8_t> packet) noexcept {
  const size_t mtu = dataplane_.mtu_to(peer);
  return packet.size() <= mtu ? carry(peer, packet) : send_too_big(peer, packet, mtu);
}

bool Inside::send_too_big(Peer& peer, std::span<uint8_t> packet, size_t mtu) noexcept {
  IpHeader ip;
  if (!parse_ip(packet, ip)) {
    dataplane_.drops.add(Drop::malformed_packet);
    return true;
  }
  if (ip.version == 4) {
    Ipv4Fragments fragments(packet, mtu);
    while (const size_t size = fragments.next(pieces_.get())) {
      if (!carry(peer, {pieces_.get(), size})) return false;
    }
    if (fragments.possible()) return true;
  } else if (mtu < kMinimumV6) {
    if (packet.size() <= kMinimumV6) {
      send_in_pieces(peer, packet);
      return true;
    }
    mtu = kMinimumV6;
  }
  dataplane_.drops.add(Drop::too_big);
  if (!may_answer(packet, ip) || !too_big_rate_.take(coarse_ms())) return true;
  const size_t size = make_too_big(packet, ip, mtu, icmp_);
  if (queue_.tun.write({icmp_, size}) != 0) dataplane_.drops.add(Drop::tun_error);
  return true;
}

// The only way for an IPv6 packet that its sender is right to send: its record travels in fragments. Some system calls for each.
void Inside::send_in_pieces(Peer& peer, std::span<uint8_t> packet) noexcept {
  Session* session = peer.session.load(std::memory_order_acquire);
  const Endpoint* path = peer.path.load(std::memory_order_acquire);
  if (!session || !path) return dataplane_.drops.add(Drop::no_session);
  uint8_t* record = pieces_.get();
  const size_t size = seal_record(*session, lane_, packet.data(), packet.size(), record);
  if (size == 0) return dataplane_.drops.add(Drop::seal_error);
  if (!dataplane_.sockets.send_in_pieces(*path, {record, size})) return dataplane_.drops.add(Drop::send_error);
  peer.tx.add(packet.size());
  peer.last_tx_ms.store(coarse_ms(), std::memory_order_relaxed);
  dataplane_.tx.add(packet.size());
}

bool Inside::carry(Peer& peer, std::span<uint8_t> packet) noexcept {
  if (peer.foreign.load(std::memory_order_acquire)) {
    const Mail mail{Mail::Kind::foreign_packet, {}, 0, peer.id, packet};
    if (!dataplane_.control_mail.post(mail)) dataplane_.drops.add(Drop::control_queue_full);
    return true;
  }
  Session* session = peer.session.load(std::memory_order_acquire);
  const Endpoint* path = peer.path.load(std::memory_order_acquire);
  if (session && path) return seal(*session, *path, peer, packet);
  dataplane_.drops.add(Drop::no_session);
  return true;
}

bool Inside::seal(Session& session, const Endpoint& path, Peer& peer, std::span<uint8_t> packet) noexcept {
  SendBatch& batch = path.address.family == 4 ? batch4_ : batch6_;
  uint8_t* record = batch.place(packet.size() + kRecordOverhead);
  if (!record) {
    if (batch.fd() < 0) {
      dataplane_.drops.add(Drop::send_error);
      return true;
    }
    // A super-packet of very many segments, the rest of which is lost when the socket is full now.
    const bool sent = batch.flush();
    record = sent ? batch.place(packet.size() + kRecordOverhead) : nullptr;
    if (!record) {
      dataplane_.drops.add(Drop::no_buffers);
      return sent;
    }
  }
  const size_t size = seal_record(session, lane_, packet.data(), packet.size(), record);
  if (size != 0) batch.add(path, size, peer, packet.size());
  else dataplane_.drops.add(Drop::seal_error);
  return true;
}

void Inside::answer_unreachable(View packet, const IpHeader& header) noexcept {
  const uint64_t now = coarse_ms();
  if (unknown_rate_.take(now)) dataplane_.unknown.add(header.destination);
  if (!may_answer(packet, header) || !icmp_rate_.take(now)) return;
  const size_t size = make_unreachable(packet, header, icmp_);
  if (queue_.tun.write({icmp_, size}) != 0) dataplane_.drops.add(Drop::tun_error);
}

}  // namespace vpnd
