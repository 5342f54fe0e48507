package dev.weir.engine.tokenizer;

/**
 * Turns text into the token ids of one model and back. Found and loaded by {@link Tokenizers#load}.
 *
 * <p>Every method may be called from any thread, also at the same time; {@link #close} waits for
 * calls that are under way.
 */
public interface Tokenizer extends AutoCloseable {

  /**
   * The ids of {@code text}, with the begin-of-sequence token first when the model has one; for
   * {@code ""} that token alone.
   *
   * @throws MalformedTextException if {@code text} is not well-formed UTF-16 (a lone surrogate)
   * @throws TokenizerException if the tokenizer is closed, or fails
   */
  int[] encode(String text);

  /**
   * The text of a whole sequence. Control tokens (begin and end of sequence) print nothing, bytes
   * that are not UTF-8 become U+FFFD, and the space that {@link #encode} put in front of the text
   * is removed again. Ids outside of the vocabulary print nothing: a model may have more rows than
   * its tokenizer has tokens.
   */
  default String decode(int... ids) {
    StreamingDecoder decoder = decoder();
    StringBuilder text = new StringBuilder();
    for (int id : ids) {
      text.append(decoder.append(id));
    }
    return text.append(decoder.finish()).toString();
  }

  /**
   * A decoder for the text that follows {@code context}, such as a prompt. What it emits, appended
   * to the text of the context, is the text of the whole.
   */
  StreamingDecoder decoder(int... context);

  /** Number of ids, the highest id plus one. */
  int vocabularySize();

  /**
   * Chars of text that one token stands for at most, so that a text can be known to be too long
   * without encoding it. A tokenizer that collapses runs of spaces may do with fewer tokens.
   */
  int longestToken();

  /**
   * Frees native memory. Encoding fails afterwards; decoding goes on working. Closing again does
   * nothing.
   */
  @Override
  void close();
}
