/** Text to token ids and back, by the tokenizer file of a model folder. */
package dev.weir.engine.tokenizer;
