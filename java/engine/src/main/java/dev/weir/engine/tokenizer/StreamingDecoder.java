package dev.weir.engine.tokenizer;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.util.function.IntFunction;

/**
 * Turns tokens into text one by one. It never emits half a character: bytes that may still become
 * one are kept until they are complete or {@link #finish} is called. All that it emits, put
 * together, is what {@link Tokenizer#decode} gives for the same tokens.
 *
 * <p>Not thread-safe.
 */
public final class StreamingDecoder {
  private final PieceTable pieces;
  private final CharsetDecoder utf8 =
      UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPLACE)
          .onUnmappableCharacter(CodingErrorAction.REPLACE);

  private ByteBuffer bytes = ByteBuffer.allocate(64);
  private CharBuffer chars = CharBuffer.allocate(64);
  private boolean atStart = true;

  /** Bytes of a character that is not complete. */
  private int pending;

  StreamingDecoder(PieceTable pieces, int... context) {
    this.pieces = pieces;
    for (int id : context) {
      decode(id);
    }
  }

  /** A decoder for a model without a tokenizer: no token prints anything. */
  public static StreamingDecoder silent() {
    return new StreamingDecoder(new PieceTable(new byte[0][], -1, false));
  }

  /** The text that {@code id} completes, often empty, never null. */
  public String append(int id) {
    String text = pending == 0 && !atStart ? pieces.text(id) : null;
    if (text != null) {
      return text;
    }
    decode(id);
    return take();
  }

  /**
   * Ends the text: an incomplete character becomes U+FFFD. The decoder starts a new text
   * afterwards.
   */
  public String finish() {
    bytes.flip();
    chars.clear();
    utf8.decode(bytes, chars, true);
    utf8.flush(chars);
    utf8.reset();
    bytes.clear();
    pending = 0;
    atStart = true;
    return take();
  }

  /**
   * What {@link #append} gives for a token that is whole characters by itself, within a text; null
   * for other ids.
   */
  public IntFunction<String> vocabulary() {
    return pieces::text;
  }

  private void decode(int id) {
    byte[] piece = pieces.bytes(id);
    int offset = 0;
    if (piece.length > 0) {
      if (atStart && pieces.dummyPrefix() && piece[0] == ' ') {
        offset = 1;
      }
      atStart = false;
    } else if (id == pieces.bos()) {
      atStart = true;
    }
    int length = piece.length - offset;
    if (bytes.remaining() < length) {
      ByteBuffer larger = ByteBuffer.allocate(2 * (bytes.position() + length));
      bytes = larger.put(bytes.flip());
      chars = CharBuffer.allocate(larger.capacity());
    }
    bytes.put(piece, offset, length).flip();
    // No UTF-8 sequence has more chars than bytes, so this cannot overflow.
    utf8.decode(bytes, chars.clear(), false);
    bytes.compact();
    pending = bytes.position();
  }

  private String take() {
    return chars.flip().hasRemaining() ? chars.toString() : "";
  }
}
