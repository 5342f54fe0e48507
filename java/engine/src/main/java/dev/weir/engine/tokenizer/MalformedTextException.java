package dev.weir.engine.tokenizer;

/** A text has no UTF-8 form, because it contains half of a surrogate pair. */
public final class MalformedTextException extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  MalformedTextException(char surrogate, int index) {
    super(
        "the text has a lone surrogate U+%04X at index %d and cannot be encoded"
            .formatted((int) surrogate, index));
  }

  /** Refuses a text with a lone surrogate. */
  static void check(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isSurrogate(c)) {
        boolean pair =
            Character.isHighSurrogate(c)
                && i + 1 < text.length()
                && Character.isLowSurrogate(text.charAt(i + 1));
        if (!pair) {
          throw new MalformedTextException(c, i);
        }
        i++;
      }
    }
  }
}
