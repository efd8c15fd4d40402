// HELLO, ACK and REFUSE as bytes: raw, and with a signature that fits, so that what lies behind the signature is reached too.
#include "hello.h"

#include <algorithm>

#include "input.h"

using namespace vpnd;
using namespace vpnd::fuzz;

namespace {

const Bytes network_id(kPublicKeySize, 1);
const Bytes exporter(kExporterSize, 2);
const HelloBinding binding{Role::client, network_id, exporter};

const NodeKey& key() {
  static const auto made = NodeKey::from_seed(Bytes(32, 3));
  return *made;
}

// The message with the harness's own key in place and signed: what a peer with the PSK can say.
Bytes sign(View body) {
  Bytes message(body.begin(), body.end());
  if (message.size() >= 34) std::copy(key().public_key().begin(), key().public_key().end(), message.begin() + 2);
  Bytes text;
  for (const char c : std::string_view("vpnd/v1 hello")) text.push_back(static_cast<uint8_t>(c));
  text.push_back(static_cast<uint8_t>(binding.signer));
  for (const View part : {View(network_id), View(exporter), View(message)}) text.insert(text.end(), part.begin(), part.end());
  uint8_t signature[kSignatureSize];
  EXPECT(key().sign(text, signature));
  message.insert(message.end(), signature, signature + kSignatureSize);
  return message;
}

void check(View message) {
  HelloError error;
  const auto hello = decode_hello(message, binding, error);
  if (!hello) return;
  EXPECT(hello->rx_index != 0 && hello->record.size() <= kMaxRecord && message.size() <= kMaxHello);
  choose_cipher(hello->ciphers, cipher_preference());
  const Bytes again = encode_hello(*hello, key(), binding);
  if (again.empty()) return;
  const auto same = decode_hello(again, binding, error);
  EXPECT(same && same->record == hello->record && same->ciphers == hello->ciphers && same->rx_index == hello->rx_index &&
         same->capabilities == hello->capabilities);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input in(data, size);
  const bool signs = in.u8() & 1;
  const Bytes body = copy(in.rest());
  if (const auto index = decode_ack(body)) EXPECT(decode_ack(encode_ack(*index)) == index);
  if (const auto reason = decode_refuse(body)) EXPECT(decode_refuse(encode_refuse(*reason)) == reason);
  check(body);
  if (signs) check(sign(body));
  return 0;
}
