// What hosts write down of a machine, by the example of locks: those structs have a machine for
// their argument, and its events, effects and state inside.

#include "troupe/host/replicated_core.hpp"
#include "troupe/lock/lock_table.hpp"
#include "written/our_forms.hpp"
#include "written/starts.hpp"

namespace {

void check_journals(troupe::test::findings& found) {
  troupe::test::our_law all{found};
  all.check<troupe::host::record<troupe::lock::lock_table>>();
  all.check<troupe::host::durable_snapshot<troupe::lock::lock_table>>();
  all.check<troupe::host::replicated_batch<troupe::lock::lock_table>>();
}

const bool is_added = troupe::test::add_chapter("journals", check_journals);

} // namespace
