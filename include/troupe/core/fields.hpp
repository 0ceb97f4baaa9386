#pragma once

/// Says which fields of a struct are written, stored and sent. It goes inside the struct, after the
/// fields, and takes the name of the struct and up to 64 names of fields, in the order in which
/// they are written:
///
///     struct ticket {
///       std::uint64_t number = 0;
///       std::string holder;
///
///       TROUPE_FIELDS(ticket, number, holder);
///     };
///
///     struct count_tickets {
///       TROUPE_FIELDS(count_tickets);
///     };
///
/// It makes the `inspect` of core/inspection.hpp, which serves the binary form, JSON, MessagePack
/// and CAF. Each field keeps its name there. The struct remains an aggregate. Write `inspect` by
/// hand for a field with another name or a condition. Fields that are not named are neither written
/// nor sent; a derived struct names the fields of its base, too. A struct inside a function cannot
/// use it. An enum as a field of a message needs `template <class F> bool inspect(F& f, colour& x)
/// { return caf::default_enum_inspect(f, x); }`, and the functions that CAF requires with it
/// (`to_string`, `from_string`, `from_integer`).
///
/// The compiler refuses a field that the struct does not have. For a 65th field it reports that
/// `TROUPE_FIELDS_takes_at_most_64` is not declared.
#define TROUPE_FIELDS(type, ...)                                                                   \
  template <class TroupeForm>                                                                      \
  friend bool inspect(TroupeForm& troupe_form, type& troupe_value) {                               \
    return troupe_form.object(troupe_value).fields(__VA_OPT__(TROUPE_FIELDS_1(__VA_ARGS__)));      \
  }                                                                                                \
  [[maybe_unused]] friend auto troupe_owner_of_fields(type& troupe_value) {                        \
    return &troupe_value;                                                                          \
  }                                                                                                \
  static_assert(true) /* takes the semicolon */

/// @cond
#define TROUPE_FIELD(name) troupe_form.field(#name, troupe_value.name)
#define TROUPE_FIELDS_1(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_2(__VA_ARGS__))
#define TROUPE_FIELDS_2(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_3(__VA_ARGS__))
#define TROUPE_FIELDS_3(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_4(__VA_ARGS__))
#define TROUPE_FIELDS_4(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_5(__VA_ARGS__))
#define TROUPE_FIELDS_5(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_6(__VA_ARGS__))
#define TROUPE_FIELDS_6(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_7(__VA_ARGS__))
#define TROUPE_FIELDS_7(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_8(__VA_ARGS__))
#define TROUPE_FIELDS_8(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_9(__VA_ARGS__))
#define TROUPE_FIELDS_9(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_10(__VA_ARGS__))
#define TROUPE_FIELDS_10(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_11(__VA_ARGS__))
#define TROUPE_FIELDS_11(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_12(__VA_ARGS__))
#define TROUPE_FIELDS_12(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_13(__VA_ARGS__))
#define TROUPE_FIELDS_13(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_14(__VA_ARGS__))
#define TROUPE_FIELDS_14(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_15(__VA_ARGS__))
#define TROUPE_FIELDS_15(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_16(__VA_ARGS__))
#define TROUPE_FIELDS_16(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_17(__VA_ARGS__))
#define TROUPE_FIELDS_17(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_18(__VA_ARGS__))
#define TROUPE_FIELDS_18(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_19(__VA_ARGS__))
#define TROUPE_FIELDS_19(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_20(__VA_ARGS__))
#define TROUPE_FIELDS_20(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_21(__VA_ARGS__))
#define TROUPE_FIELDS_21(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_22(__VA_ARGS__))
#define TROUPE_FIELDS_22(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_23(__VA_ARGS__))
#define TROUPE_FIELDS_23(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_24(__VA_ARGS__))
#define TROUPE_FIELDS_24(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_25(__VA_ARGS__))
#define TROUPE_FIELDS_25(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_26(__VA_ARGS__))
#define TROUPE_FIELDS_26(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_27(__VA_ARGS__))
#define TROUPE_FIELDS_27(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_28(__VA_ARGS__))
#define TROUPE_FIELDS_28(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_29(__VA_ARGS__))
#define TROUPE_FIELDS_29(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_30(__VA_ARGS__))
#define TROUPE_FIELDS_30(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_31(__VA_ARGS__))
#define TROUPE_FIELDS_31(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_32(__VA_ARGS__))
#define TROUPE_FIELDS_32(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_33(__VA_ARGS__))
#define TROUPE_FIELDS_33(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_34(__VA_ARGS__))
#define TROUPE_FIELDS_34(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_35(__VA_ARGS__))
#define TROUPE_FIELDS_35(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_36(__VA_ARGS__))
#define TROUPE_FIELDS_36(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_37(__VA_ARGS__))
#define TROUPE_FIELDS_37(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_38(__VA_ARGS__))
#define TROUPE_FIELDS_38(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_39(__VA_ARGS__))
#define TROUPE_FIELDS_39(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_40(__VA_ARGS__))
#define TROUPE_FIELDS_40(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_41(__VA_ARGS__))
#define TROUPE_FIELDS_41(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_42(__VA_ARGS__))
#define TROUPE_FIELDS_42(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_43(__VA_ARGS__))
#define TROUPE_FIELDS_43(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_44(__VA_ARGS__))
#define TROUPE_FIELDS_44(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_45(__VA_ARGS__))
#define TROUPE_FIELDS_45(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_46(__VA_ARGS__))
#define TROUPE_FIELDS_46(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_47(__VA_ARGS__))
#define TROUPE_FIELDS_47(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_48(__VA_ARGS__))
#define TROUPE_FIELDS_48(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_49(__VA_ARGS__))
#define TROUPE_FIELDS_49(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_50(__VA_ARGS__))
#define TROUPE_FIELDS_50(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_51(__VA_ARGS__))
#define TROUPE_FIELDS_51(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_52(__VA_ARGS__))
#define TROUPE_FIELDS_52(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_53(__VA_ARGS__))
#define TROUPE_FIELDS_53(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_54(__VA_ARGS__))
#define TROUPE_FIELDS_54(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_55(__VA_ARGS__))
#define TROUPE_FIELDS_55(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_56(__VA_ARGS__))
#define TROUPE_FIELDS_56(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_57(__VA_ARGS__))
#define TROUPE_FIELDS_57(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_58(__VA_ARGS__))
#define TROUPE_FIELDS_58(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_59(__VA_ARGS__))
#define TROUPE_FIELDS_59(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_60(__VA_ARGS__))
#define TROUPE_FIELDS_60(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_61(__VA_ARGS__))
#define TROUPE_FIELDS_61(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_62(__VA_ARGS__))
#define TROUPE_FIELDS_62(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_63(__VA_ARGS__))
#define TROUPE_FIELDS_63(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_64(__VA_ARGS__))
#define TROUPE_FIELDS_64(name, ...) TROUPE_FIELD(name) __VA_OPT__(, TROUPE_FIELDS_takes_at_most_64)
/// @endcond
