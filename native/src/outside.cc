#include "outside.h"

#include <netinet/udp.h>

#include <mutex>

#include "ip_packet.h"
#include "mss_clamp.h"

namespace vpnd {

namespace {

constexpr int kUdpGro = 104;  // UDP_GRO; newer than the headers of some systems

// A plain handshake record (RFC 6347 section 4.1) with a ClientHello first.
bool is_client_hello(View datagram) { return datagram.size() > 13 && datagram[0] == 22 && load16(&datagram[3]) == 0 && datagram[13] == 1; }

// The size of each datagram in a merged buffer; the last may have less.
size_t segment_size(msghdr& header, size_t whole) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != kUdpGro) continue;
    int size = 0;
    memcpy(&size, CMSG_DATA(c), sizeof size);
    if (size > 0) return std::min(static_cast<size_t>(size), whole);
  }
  return whole;
}

}  // namespace

Outside::Outside(Dataplane& dataplane, const Queue& queue, unsigned lane)
    : dataplane_(dataplane),
      queue_(queue),
      lane_(lane),
      coalescer_({queue.tun.offloads().tso, queue.tun.offloads().tso, queue.tun.offloads().uso}, *this),
      buffers_(std::make_unique_for_overwrite<uint8_t[]>(kStride * kBatch)) {
  for (unsigned i = 0; i < kBatch; i++) {
    parts_[i] = {slot(i), 65536};
    headers_[i].msg_hdr.msg_name = &addresses_[i];
    headers_[i].msg_hdr.msg_iov = &parts_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
    headers_[i].msg_hdr.msg_control = &controls_[i];
  }
}

void Outside::round(int fd) noexcept {
  for (mmsghdr& h : headers_) {
    h.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    h.msg_hdr.msg_controllen = sizeof(Control);
  }
  const int got = recvmmsg(fd, headers_.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (got <= 0) return;  // nothing there, or an error of an earlier send, which this call has cleared
  now_ms_ = coarse_ms();
  known_owner_ = nullptr;
  for (unsigned i = 0; i < static_cast<unsigned>(got); i++) {
    const Endpoint from = Endpoint::from(reinterpret_cast<const sockaddr*>(&addresses_[i]));
    const size_t whole = headers_[i].msg_len;
    const size_t step = segment_size(headers_[i].msg_hdr, whole);
    size_t at = 0;
    do {
      handle(from, slot(i) + at, std::min(step, whole - at));
      at += step;
    } while (at < whole);
  }
  flush();
}

void Outside::handle(const Endpoint& from, uint8_t* data, size_t size) noexcept {
  if (size == 0) return dataplane_.drops.add(Drop::unknown_type);
  const uint8_t first = data[0];
  if (first == kRecordType) return record(from, data, size);
  if (first >= 20 && first <= 24) {
    Mailbox& box = is_client_hello({data, size}) ? dataplane_.newcomer_mail : dataplane_.handshake_mail;
    return post(box, {Mail::Kind::dtls, from, 0, 0, {data, size}}, Drop::handshake_queue_full);
  }
  if (first == 0x7b || first == 0xe0) {
    Event event;
    event.type = Event::Type::datagram;
    event.endpoint = from.text();
    event.data.assign(data, data + size);
    return dataplane_.events.push_datagram(std::move(event));
  }
  if (first == 0 && size == 1) return punch(from);
  const bool reserved = first <= 3 || first == 0xe1 || first == 0xe2;
  dataplane_.drops.add(reserved ? Drop::reserved : Drop::unknown_type);
}

void Outside::punch(const Endpoint& from) noexcept {
  dataplane_.drops.add(Drop::punch);
  if (punches_.take(now_ms_)) post(dataplane_.handshake_mail, {Mail::Kind::punch, from, 0, 0, {}}, Drop::handshake_queue_full);
}

void Outside::record(const Endpoint& from, uint8_t* data, size_t size) noexcept {
  RecordHeader header;
  if (!parse_record({data, size}, header)) return dataplane_.drops.add(Drop::malformed_record);
  Session* session = dataplane_.sessions.find(header.rx_index);
  if (!session) return dataplane_.drops.add(Drop::unknown_index);
  ReplayWindow& replay = session->state->replay;
  {
    const std::lock_guard lock(session->replay_guard);
    if (!replay.fresh(header.sequence)) return dataplane_.drops.add(Drop::replayed);
  }
  const View opened = open_record(*session, lane_, data, size);
  // Opened in place.
  const std::span<uint8_t> plain{opened.data() == nullptr ? nullptr : data + (opened.data() - data), opened.size()};
  if (plain.data() == nullptr) return dataplane_.drops.add(Drop::bad_tag);
  bool newest;
  {
    const std::lock_guard lock(session->replay_guard);
    // Another thread may have opened the same record meanwhile.
    if (!replay.fresh(header.sequence)) return dataplane_.drops.add(Drop::replayed);
    newest = replay.accept(header.sequence);
  }
  session->peer->last_rx_ms.store(now_ms_, std::memory_order_relaxed);
  if (!session->confirmed.load(std::memory_order_relaxed)) {
    // Posted before the packet is handled, and again with the next record if there was no room.
    const bool posted = dataplane_.control_mail.post({Mail::Kind::confirmed, from, header.rx_index, 0, {}});
    session->confirmed.store(posted, std::memory_order_relaxed);
    if (!posted) dataplane_.drops.add(Drop::control_queue_full);
  }
  // A record that was overtaken may come from the address before a move, and would undo it.
  if (newest) note_path(*session, from);
  inner(*session, from, plain);
}

void Outside::note_path(Session& session, const Endpoint& from) noexcept {
  const Endpoint* path = session.peer->path.load(std::memory_order_acquire);
  if ((path && *path == from) || session.roam_pending.exchange(true, std::memory_order_acq_rel)) return;
  if (dataplane_.control_mail.post({Mail::Kind::roam, from, session.rx_index, 0, {}})) return;
  session.roam_pending.store(false, std::memory_order_release);
  dataplane_.drops.add(Drop::control_queue_full);
}

void Outside::inner(Session& session, const Endpoint& from, std::span<uint8_t> plain) noexcept {
  if (plain.empty()) return dataplane_.drops.add(Drop::malformed_inner);
  if (plain[0] < 0x40) {
    return post(dataplane_.control_mail, {Mail::Kind::control, from, session.rx_index, 0, plain}, Drop::control_queue_full);
  }
  IpHeader header;
  if (!parse_ip(plain, header)) return dataplane_.drops.add(Drop::malformed_inner);
  if (!may_send(*session.peer, header.source)) return dataplane_.drops.add(Drop::foreign_source);
  const Filter* filter = dataplane_.filter.load(std::memory_order_acquire);
  if (filter && !filter->passes(plain, header, session.peer, now_ms_)) return dataplane_.drops.add(Drop::filtered);
  // What this end sends must fit too, and the other end may not know that.
  clamp_mss(plain.data(), plain.size(), dataplane_.mtu_to(*session.peer), ChecksumField::whole);
  coalescer_.add(plain, session.peer);
}

bool Outside::may_send(const Peer& peer, const Address& source) noexcept {
  if (!known_owner_ || known_source_ != source) {
    known_source_ = source;
    known_owner_ = dataplane_.routes.load(std::memory_order_acquire)->find(source);
  }
  return known_owner_ == &peer;
}

void Outside::write(const iovec* parts, int count, size_t packets, size_t bytes, void* owner) noexcept {
  int error;
  if (queue_.tun.offloads().vnet) {
    error = queue_.tun.write(parts, count);
  } else {
    // Nothing was merged: one packet, in one part behind the header or in the next one.
    error = queue_.tun.write(parts + 1, count - 1);
  }
  if (error != 0) return dataplane_.drops.add(Drop::tun_error, packets);
  // As many headers as there were packets.
  VnetHeader header;
  memcpy(&header, parts[0].iov_base, sizeof header);
  const size_t inner = bytes + (packets - 1) * header.header_length;
  static_cast<Peer*>(owner)->rx.add(inner, packets);
  dataplane_.rx.add(inner, packets);
}

void Outside::post(Mailbox& box, const Mail& mail, Drop when_full) noexcept {
  if (!box.post(mail)) dataplane_.drops.add(when_full);
}

}  // namespace vpnd
