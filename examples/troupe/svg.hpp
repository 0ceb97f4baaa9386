#pragma once

#include <charconv>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "picture_text.hpp"

namespace cli {

/// A picture in SVG, written from its beginning to its end. Every text and value is escaped;
/// characters that XML does not allow are shown as by text_of_picture().
class svg_picture {
public:
  using attribute = std::pair<std::string_view, std::string>;
  using attributes = std::initializer_list<attribute>;

  /// The size is in pixels; `style` is CSS for the elements.
  svg_picture(double width, double height, std::string_view style) {
    text_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(width) + "\" height=\""
            + number(height) + "\" viewBox=\"0 0 " + number(width) + ' ' + number(height) + "\">\n";
    text_ += "<style>" + escaped(style) + "</style>\n";
  }

  void add(std::string_view name, attributes values) {
    open(name, values);
    text_ += "/>\n";
  }

  /// With a text, which is the content of a <text>, or what is shown where the mouse is.
  void add(std::string_view name, attributes values, std::string_view inside) {
    open(name, values);
    text_ += '>' + escaped(inside) + "</" + std::string{name} + ">\n";
  }

  void add_with_title(std::string_view name, attributes values, std::string_view title) {
    open(name, values);
    text_ += "><title>" + escaped(title) + "</title></" + std::string{name} + ">\n";
  }

  /// Begins an element; those added before end() are inside it.
  void begin(std::string_view name, attributes values) {
    open(name, values);
    text_ += ">\n";
  }

  void end(std::string_view name) {
    text_ += "</" + std::string{name} + ">\n";
  }

  /// Adds text that is SVG already.
  void add_raw(std::string_view text) {
    text_ += text;
  }

  [[nodiscard]] std::string finished() && {
    return std::move(text_ += "</svg>\n");
  }

  /// With two decimals, in any locale.
  static std::string number(double value) {
    char digits[64];
    auto done = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, 2);
    std::string text{digits, done.ptr};
    text.erase(text.find_last_not_of('0') + 1);
    return text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
  }

private:
  void open(std::string_view name, attributes values) {
    text_ += '<' + std::string{name};
    for (auto& [key, value] : values)
      text_ += ' ' + std::string{key} + "=\"" + escaped(value) + '"';
  }

  static std::string escaped(std::string_view text) {
    std::string all;
    for (auto each : text_of_picture(text))
      switch (each) {
        case '&':
          all += "&amp;";
          break;
        case '<':
          all += "&lt;";
          break;
        case '>':
          all += "&gt;";
          break;
        case '"':
          all += "&quot;";
          break;
        default:
          all += each;
      }
    return all;
  }

  std::string text_;
};

} // namespace cli
