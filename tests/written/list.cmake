# Writes the sources that put every struct with an `inspect` to the law of tests/written/law.hpp,
# one of each part for our own forms and one for CAF's, and the names of all of them:
#
#   cmake -DHEADERS=include/troupe -DOUT=build/tests/written -DPARTS=core,lock
#         -DCAF_PARTS=core -DLEFT_OUT=tests/written/left_out.txt -P list.cmake
#
# What is found is the text "bool inspect(Inspector& f, NAME& x)" in a namespace, and
# "TROUPE_FIELDS(NAME" in a struct of a namespace or in one inside such a struct. A struct with
# template arguments is not checked by itself, but as a part of those that hold it. Files whose
# content is the same are not touched.
cmake_minimum_required(VERSION 3.20)

function(write_file name content)
  file(CONFIGURE OUTPUT "${OUT}/${name}" CONTENT "${content}" @ONLY)
endfunction()

string(REPLACE "," ";" parts "${PARTS}")
string(REPLACE "," ";" caf_parts "${CAF_PARTS}")
set(left_out)
set(reasons)
file(STRINGS "${LEFT_OUT}" lines REGEX "^[^#]")
foreach(line IN LISTS lines)
  if(NOT line MATCHES "^([a-zA-Z0-9_:]+) +([^\"]+)$")
    message(FATAL_ERROR "${LEFT_OUT}: expected NAME REASON, found: ${line}")
  endif()
  list(APPEND left_out "${CMAKE_MATCH_1}")
  string(APPEND reasons "{\"${CMAKE_MATCH_1}\", \"${CMAKE_MATCH_2}\"},\n")
endforeach()

set(names)
file(GLOB_RECURSE headers RELATIVE "${HEADERS}" "${HEADERS}/*.hpp")
list(REMOVE_ITEM headers core/fields.hpp) # which has the macro
list(SORT headers)
foreach(header IN LISTS headers)
  file(READ "${HEADERS}/${header}" text)
  if(NOT text MATCHES "bool inspect\\(|\n +TROUPE_FIELDS\\(|CAF_ADD_TYPE_ID")
    continue()
  endif()
  string(REGEX MATCH "^[a-z_]+" part "${header}")
  if(NOT part IN_LIST parts AND NOT part IN_LIST caf_parts)
    message(FATAL_ERROR "${header} has an inspect: add ${part} to the parts in tests/CMakeLists.txt")
  endif()
  set(with_caf OFF)
  if(text MATCHES "#include \"(caf/|troupe/core/caf/|troupe/[a-z]+/messages.hpp)")
    set(with_caf ON)
  endif()
  set(includes)
  set(namespaces)
  set(outer)
  file(STRINGS "${HEADERS}/${header}" lines
    REGEX "^(inline )?namespace [a-z_:]+ {|^} // namespace|^(struct|class) [a-z_]+|bool inspect\\(|^ +TROUPE_FIELDS\\(|CAF_ADD_TYPE_ID\\([a-z_]+, ")
  foreach(line IN LISTS lines)
    if(line MATCHES "^  TROUPE_FIELDS\\(([a-z_]+)")
      set(line "bool inspect(Inspector& f, ${CMAKE_MATCH_1}& x)")
    elseif(line MATCHES "^    TROUPE_FIELDS\\(([a-z_]+)")
      set(line "bool inspect(Inspector& f, ${outer}::${CMAKE_MATCH_1}& x)")
    endif()
    if(line MATCHES "^ *//[^}]*$" OR line MATCHES "return inspect\\(")
      continue()
    elseif(line MATCHES "namespace ([a-z_:]+) {")
      list(APPEND namespaces "${CMAKE_MATCH_1}")
    elseif(line MATCHES "^} // namespace")
      list(POP_BACK namespaces)
    elseif(line MATCHES "^(struct|class) ([a-z_]+)")
      set(outer "${CMAKE_MATCH_2}")
    elseif(line MATCHES "CAF_ADD_TYPE_ID\\([a-z_]+, \\((.+)\\)\\)")
      set(type "${CMAKE_MATCH_1}")
      if(text MATCHES "CAF_ALLOW_UNSAFE_MESSAGE_TYPE\\(${type}\\)")
        continue() # never leaves its process
      endif()
      if(NOT part IN_LIST caf_parts)
        message(FATAL_ERROR "${header} has type ids: add ${part} to the parts in tests/CMakeLists.txt")
      endif()
      if(NOT type MATCHES "_actor$" AND NOT type IN_LIST left_out)
        string(APPEND caf_checks_${part} "  all.check<${type}>();\n")
        list(APPEND caf_includes_${part} "${header}")
      endif()
    elseif(line MATCHES "bool inspect\\([A-Za-z]+& f, ([A-Za-z_:]+)(<[A-Z]>|<[A-Z][a-z]+>)?& x\\)")
      set(name "${CMAKE_MATCH_1}")
      set(arguments "${CMAKE_MATCH_2}")
      list(JOIN namespaces "::" scope)
      list(APPEND names "${scope}::${name}")
      if(with_caf OR arguments OR "${scope}::${name}" IN_LIST left_out
          OR text MATCHES "template <[^>]*>\n(struct|class) ${name}[ \n]")
        continue()
      endif()
      string(APPEND checks_${part} "  all.check<${scope}::${name}>();\n")
      list(APPEND includes_${part} "${header}")
    else()
      message(FATAL_ERROR "${header}: cannot tell whose inspect that is: ${line}")
    endif()
  endforeach()
endforeach()

function(write_source name law form includes checks)
  list(REMOVE_DUPLICATES includes)
  list(TRANSFORM includes REPLACE "(.+)" "#include \"troupe/\\1\"\n")
  list(JOIN includes "" includes)
  write_file(${name}.cpp "#include \"written/${form}.hpp\"
#include \"written/starts.hpp\"
${includes}
namespace {

void check_${name}(troupe::test::findings& found) {
  troupe::test::${law} all{found};
${checks}}

const bool is_${name}_added = troupe::test::add_chapter(\"${name}\", check_${name});

} // namespace
")
endfunction()

foreach(part IN LISTS parts)
  write_source(${part}_fields our_law our_forms "${includes_${part}}" "${checks_${part}}")
endforeach()
foreach(part IN LISTS caf_parts)
  write_source(${part}_messages caf_law caf_form "${caf_includes_${part}}" "${caf_checks_${part}}")
endforeach()

list(REMOVE_DUPLICATES names)
list(TRANSFORM names REPLACE "(.+)" "\"\\1\",\n")
list(JOIN names "" names)
write_file(names.inc "${names}")
write_file(reasons.inc "${reasons}")

set(braces)
set(each "{}")
foreach(count RANGE 1 48)
  string(APPEND braces
    "template <class T>\ninline constexpr bool has_fields<T, ${count}> = requires { T{${each}}; };\n")
  string(APPEND each ", {}")
endforeach()
write_file(braces.inc "${braces}")
