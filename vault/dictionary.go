package vault

// dictionary1 is the preset dictionary of bodyS2 and bodyDeflated: names and values that nearly every record has, the most common at the end.
// It is part of the format (docs/format/vault.md) and never changes; a better one gets a number of its own.
const dictionary1 = "\x08approver\x0ckey.old\x07key.new\x08rotation\x0acheckpoint\x09act.outcome\x04done\x07refused\x06failed" +
	"\x0cactor.behalf\x09actor.via\x08os-login\x08asserted\x05actor\x20\x05query\x06reason\x04name\x04user\x04role\x05scope\x01*" +
	"\x06digestsha256:\x07version\x05count\x09count.new\x0bcount.known\x0ccount.linked\x0ccount.marked\x04seqs" +
	"\x0bvalid.from\x0bvalid.until\x0aperson.key\x0adepartment\x0csender.title\x0csender.phone" +
	"\x0bmember.0001\x0bmember.0002\x0bmember.0003\x0erecipient.0001\x0erecipient.0002\x0erecipient.0003" +
	"\x09file.0001\x0efile.0001.name\x0efile.0001.type\x11file.0001.missing\x0aimage/jpeg\x09image/png\x0fapplication/pdf" +
	"\x10application/json\x08raw.type\x0emessage/rfc822\x09text/html\x0atext/plain\x09text/csv\x08raw.file" +
	"\x04mark\x0eno-usable-time\x0ano-sender\x07same_as \x07edit_of\x06thread\x08reply_to\x07subject\x09text.html" +
	"\x09text.0009\x09text.0010\x09text.0011\x09text.0012\x09text.0013\x09text.0014\x09text.0015\x09text.0016\x09text.0017\x09text.0018" +
	"\x0asource_key\x09text.0000\x40\x09text.0001\x40\x09text.0002\x40\x09text.0003\x40\x09text.0004\x40\x09text.0005\x40\x09text.0006\x40\x09text.0007\x40\x09text.0008\x40" +
	"\x0esender.address\x0asender.key\x0bsender.name" +
	"\x03act\x06import\x06search\x04open\x07channel\x03own\x05class\x04acts\x04tier\x08internal\x06entity\x05place\x0bplace.basis" +
	"\x07channel\x03api\x07channel\x04push\x07channel\x06export\x07channel\x04file\x05class\x04chat" +
	"\x10conversation.key\x11conversation.kind\x06direct\x11conversation.kind\x07mailbox\x11conversation.kind\x05group\x11conversation.kind\x07channel\x11conversation.name" +
	"\x05grade\x01A\x05grade\x01B\x05grade\x01C\x06import\x20\x0anormaliser\x08mapped/1\x06mbox/1\x07slack/1\x06origin" +
	"\x04tier\x0cconfidential\x0atier.basis\x12attachment-unread\x13direct-conversation\x09directory\x04tier\x08internal\x0atier.basis\x07default" +
	"\x04time\x182026-2025-2024-T\x04time\x14202\x0atime.basis\x07assumed\x0atime.basis\x06source\x0dtime.original\x09time.zone\x03UTC\x09time.zone\x06+08:00\x0aAsia/Macau"
