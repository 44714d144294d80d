#!/usr/bin/perl
# Stands in for a new process of a balancer that is upgraded: its tables are of the version that $ABI says, and what it says
# beyond that it was told, or nothing at all any more where it is to hang.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($ABI, $HANGS) = (@ABI@, @HANGS@);
my $socket = IO::Socket::UNIX->new(Peer => "$ENV{BALANCER_SUCCEEDS}/socket") or die "nobody is there: $!\n";

sub say_word {
    my ($text) = @_;
    $socket->syswrite(pack('Vv', length $text, 0) . $text);
}

say_word("{\"Succeed\":{\"abi\":$ABI}}");
sleep 1000 if $HANGS;
$socket->read(my $head, 6) == 6 or die "no answer\n";
my ($length) = unpack 'V', $head;
$socket->read(my $answer, $length);
my ($why) = $answer =~ /"Refused":"(.*)"/ or die "not refused: $answer\n";
say_word("{\"Failed\":{\"configuration\":false,\"text\":\"$why\"}}");
exit 1;
