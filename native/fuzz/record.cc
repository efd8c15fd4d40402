// Data records: what is sealed opens to the same, and altered in any byte it does not open.
#include "record.h"

#include "input.h"
#include "world.h"

using namespace vpnd;
using namespace vpnd::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  static const bool once = (world.fresh(), true);
  (void)once;
  Input in(data, size);
  const uint16_t at = in.u16();
  const uint8_t change = in.u8();
  const size_t cut = in.u8();
  const Bytes inner = copy(in.rest());
  if (inner.size() > 60000) return 0;

  RecordHeader header;
  const bool parsed = parse_record(inner, header);
  EXPECT(!parsed || inner.size() > kRecordOverhead);
  if (parsed) {
    Bytes raw = inner;
    open_record(*world.session, 1, raw.data(), raw.size());
  }

  const Bytes sealed = world.seal_as_peer(inner);
  EXPECT(parse_record(sealed, header) == !inner.empty());
  if (inner.empty()) return 0;
  EXPECT(header.rx_index == World::kIndex);
  EXPECT(!parse_record(View(sealed).first(sealed.size() - std::min(sealed.size(), cut + 1)), header));
  Bytes same = sealed;
  const View plain = open_record(*world.session, 1, same.data(), same.size());
  EXPECT(plain.size() == inner.size() && std::equal(plain.begin(), plain.end(), inner.begin()));
  if (change == 0) return 0;
  Bytes altered = sealed;
  altered[at % altered.size()] ^= change;
  const bool opened = parse_record(altered, header) && header.rx_index == World::kIndex &&
                      open_record(*world.session, 1, altered.data(), altered.size()).data() != nullptr;
  EXPECT(!opened);
  return 0;
}
