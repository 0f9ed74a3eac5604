use strict;
use warnings;
use Digest::SHA;
use JSON::PP;
use List::Util qw(sum0);

my (%count, %total, %best, @names);
open(my $data, "<", "data.csv") or die "data.csv: $!";
my $header = <$data>;
while (my $line = <$data>) {
    chomp $line;
    my ($name, $team, $score) = split /,/, $line;
    $count{$team}++;
    $total{$team} += $score;
    $best{$team} = [$score, $name] if !$best{$team} || $score > $best{$team}[0];
    push @names, $name if $name =~ /^[A-M]/;
}
close $data;

my @pipes;
for my $part (0 .. 3) {
    my $pid = open(my $pipe, "-|") // die "fork: $!";
    if ($pid == 0) {
        my $sum = 0;
        for (my $i = $part; $i <= 10_000; $i += 4) { $sum += $i * $i }
        print $sum;
        exit 0;
    }
    push @pipes, $pipe;
}
my $squares = sum0 map { my $sum = <$_>; close $_; $sum } @pipes;

open(my $out, ">", "/output/result.txt") or die "result.txt: $!";
print $out "$_ $count{$_} $total{$_} $best{$_}[1]\n" for sort { $total{$b} <=> $total{$a} } keys %total;
print $out "sha256 ", Digest::SHA->new(256)->addfile("data.csv")->hexdigest, "\n";
print $out "squares $squares\n";
print $out "names ", join(",", @names), "\n";
print $out "json ", JSON::PP->new->canonical->encode(\%total), "\n";
print $out "args ", join("|", @ARGV), "\n";
close $out or die "result.txt: $!";
my $input = join "", <STDIN>;
$input =~ s/\s+$//;
print "done $input\n";
